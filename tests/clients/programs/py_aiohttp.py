import asyncio, os, sys, aiohttp

async def main():
    headers = {"Authorization": "Bearer " + os.environ["CLIENTS_API_KEY"]}
    async with aiohttp.ClientSession(trust_env=True, raise_for_status=True, headers=headers) as session:
        async with session.get(sys.argv[1]) as answer:
            print(await answer.text())

asyncio.run(main())
