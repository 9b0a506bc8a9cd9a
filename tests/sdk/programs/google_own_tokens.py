import json
import os

import google.auth
from google.auth import jwt
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import credentials, service_account

FILES = "https://www.googleapis.com/drive/v3/files"
SCOPES = ["https://www.googleapis.com/auth/drive.readonly"]

# A key file: the environment names one, and the library signs an assertion with its key.
found, project = google.auth.default(scopes=SCOPES)
print("found", type(found).__name__, project)
print([file["name"] for file in AuthorizedSession(found).get(FILES, params={"pageSize": 2}).json()["files"]])
print("token of", "ya29" if found.token.startswith("ya29.") else found.token, "expired" if found.expired else "valid")

# A person's refresh token, as `gcloud auth application-default login` leaves one behind.
own = {
    "type": "authorized_user",
    "client_id": "764086051850.apps.googleusercontent.com",
    "client_secret": "d-not-a-secret",
    "refresh_token": "1//not-a-refresh-token",
}
with open("authorized_user.json", "w") as file:
    json.dump(own, file)
person = credentials.Credentials.from_authorized_user_file("authorized_user.json", SCOPES)
print(AuthorizedSession(person).get(FILES + "/1report", params={"alt": "media"}).text)
print("kept", person.refresh_token)

# A token that says who asks.
identity = service_account.IDTokenCredentials.from_service_account_file(
    os.environ["GOOGLE_APPLICATION_CREDENTIALS"], target_audience="https://acme.example"
)
identity.refresh(Request())
# It has no signature to look at: what matters is that it parses.
print("identity by", jwt.decode(identity.token, verify=False)["iss"])
