"""Ends its token as programs do: by a form, and by Google's address with a query."""

import os

import requests

URL = "https://oauth2.googleapis.com/revoke"
token = {"token": os.environ["TOKEN"]}
for answer in (requests.post(URL, data=token), requests.get(URL, params=token)):
    print(answer.status_code, answer.text, flush=True)
