import os

from notion_client import Client

notion = Client(auth=os.environ["NOTION_TOKEN"])
print([user["name"] for user in notion.users.list()["results"]])
print([page["id"] for page in notion.search(query="Roadmap")["results"]])
title = {"title": [{"text": {"content": "Roadmap"}}]}
page = notion.pages.create(parent={"page_id": "f1407bf3b3404d6f8ac1ea0dd9d3e4a1"}, properties={"title": title})
print(page["url"])
upload = notion.file_uploads.create(filename="plan.txt", content_type="text/plain")
print(notion.file_uploads.send(upload["id"], file=("plan.txt", b"a plan\n" * 5000, "text/plain"))["status"])
