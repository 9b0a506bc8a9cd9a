import json, os, sys
from slack_sdk import WebClient
client = WebClient(token=os.environ["CLIENTS_API_KEY"], base_url=sys.argv[1] + "/", timeout=20)
print(json.dumps(client.auth_test().data))
