import os

from slack_sdk import WebClient

client = WebClient(token=os.environ["SLACK_BOT_TOKEN"])
print(client.auth_test()["user"])
print([channel["name"] for page in client.conversations_list(limit=1) for channel in page["channels"]])
message = client.chat_postMessage(channel="C0GENERAL", text="Deployed", blocks=[{"type": "divider"}])
print(message["ts"])
file = client.files_upload_v2(channel="C0GENERAL", filename="log.txt", content="a line of the log\n" * 3000)
print(file["file"]["id"])
# It logs out: its token is told to be gone, and nobody else's is.
print("revoked", client.auth_revoke()["revoked"], client.auth_test()["ok"])
