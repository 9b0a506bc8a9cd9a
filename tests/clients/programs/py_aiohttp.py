import asyncio, sys, aiohttp

async def main():
    async with aiohttp.ClientSession(trust_env=True, raise_for_status=True) as session:
        async with session.get(sys.argv[1]) as answer:
            print(await answer.text())

asyncio.run(main())
