import os

from github import Auth, Github

client = Github(auth=Auth.Token(os.environ["GITHUB_TOKEN"]))
print(client.get_user().login)
repo = client.get_repo("octo/hello")
print([issue.title for issue in repo.get_issues(state="open")])
issue = repo.create_issue(title="It leaks", body="Water, not secrets.", labels=["bug"])
print(issue.number)
release = repo.get_release("v1.0.0")
with open("hello.bin", "wb") as file:
    file.write(b"binary\0" * 9000)
print(release.upload_asset("hello.bin", content_type="application/octet-stream").state)
