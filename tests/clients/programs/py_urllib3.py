# A bare PoolManager reads no variable: the program names the proxy itself, as its documentation says.
import os, sys, urllib3
from urllib3.util import make_headers, parse_url
proxy = parse_url(os.environ["HTTPS_PROXY"])
headers = make_headers(proxy_basic_auth=proxy.auth) if proxy.auth else None
pool = urllib3.ProxyManager(f"http://{proxy.host}:{proxy.port}", proxy_headers=headers, ca_certs=os.environ["SSL_CERT_FILE"])
key = {"Authorization": "Bearer " + os.environ["CLIENTS_API_KEY"]}
answer = pool.request("GET", sys.argv[1], headers=key, timeout=20, retries=False)
print(answer.data.decode())
sys.exit(0 if answer.status == 200 else 1)
