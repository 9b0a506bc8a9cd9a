"""Logs in by a device's code as a program would, waits for the person, then calls the API with the token that it got."""

import sys

import requests

TOKEN_URL = "https://github.com/login/oauth/access_token"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"

session = requests.Session()
while True:
    answer = session.post(
        TOKEN_URL,
        headers={"Accept": "application/json"},
        data={"client_id": "their-client", "device_code": "their-code", "grant_type": GRANT},
    )
    answer.raise_for_status()
    token = answer.json()
    if token.get("error") != "authorization_pending":
        break
session.headers["Authorization"] = "Bearer " + token["access_token"]
for line in sys.stdin:
    reply = session.get("https://api.github.com/user")
    print(reply.status_code, reply.headers.get("nexus-refusal"), flush=True)
print(token["access_token"], token["refresh_token"], token["scope"], int(token["expires_in"]), flush=True)
