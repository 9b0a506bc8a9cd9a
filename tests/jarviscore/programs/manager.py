"""JarvisCore's AuthenticationManager and nexus_call, as an agent's process has them.

    manager.py GATEWAY KEY RETURN_URL PROVIDER USER URL

Prints the page where a person consents, then as JSON what the manager holds and what the call was answered.
"""

import asyncio
import json
import sys

from jarviscore.auth.manager import AuthenticationManager
from jarviscore.auth.oauth_flow import CLIFlowHandler
from jarviscore.nexus.call_proxy import NexusCallProxy

gateway, key, return_url, provider, user, url = sys.argv[1:]


class Printed(CLIFlowHandler):
    """The page goes to whoever started this; the rest is JarvisCore's."""

    async def present_auth_url(self, auth_url, provider, connection_id="", context=None):
        print(f"page {auth_url}", flush=True)


CONFIG = {
    "nexus_gateway_url": gateway, "nexus_gateway_api_key": key, "nexus_default_user_id": user,
    "nexus_return_url": return_url, "auth_poll_interval": 0.1, "auth_flow_timeout": 40,
}


async def discovered():
    """What another process finds without a person; 1.x looks for nothing."""
    manager = AuthenticationManager(CONFIG)
    if not hasattr(manager, "discover"):
        return None
    handle = await manager.discover(provider)
    called = await NexusCallProxy(manager).call(handle, "GET", url)
    await manager.nexus_client.refresh_connection(handle)
    await manager.close()
    return {"handle": handle, "status": called["status_code"]}


async def main():
    manager = AuthenticationManager(CONFIG)
    manager.flow_handler = Printed(open_browser=False)
    handle = await manager.authenticate(provider)
    strategy = await manager.resolve_strategy(handle)
    nexus_call = NexusCallProxy.make_nexus_call_fn(NexusCallProxy(manager), handle)
    called = await nexus_call("GET", url)
    await manager.nexus_client.refresh_connection(handle)
    print(json.dumps({
        "handle": handle, "type": strategy.type, "credentials": strategy.credentials, "expires_at": strategy.expires_at,
        "status": called["status_code"], "body": called["json"], "discovered": await discovered(),
    }), flush=True)
    await manager.close()


asyncio.run(main())
