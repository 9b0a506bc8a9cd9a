import json, sys
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
client = WebClient(token="xoxb-placeholder", base_url=sys.argv[1] + "/", timeout=20)
try:
    answer = client.auth_test()
except SlackApiError as error:  # an echo says nothing of "ok"
    answer = error.response
print(json.dumps(answer.data))
