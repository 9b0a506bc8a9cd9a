import io
import os

from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.http import MediaIoBaseDownload, MediaIoBaseUpload

drive = build("drive", "v3", credentials=Credentials(token=os.environ["GOOGLE_DRIVE_ACCESS_TOKEN"]))
print([file["name"] for file in drive.files().list(pageSize=2, fields="files(id, name)").execute()["files"]])
folder = {"name": "Reports", "mimeType": "application/vnd.google-apps.folder"}
print(drive.files().create(body=folder, fields="id").execute()["id"])
media = MediaIoBaseUpload(io.BytesIO(b"month,sum\n" * 40000), mimetype="text/csv", resumable=True)
print(drive.files().create(body={"name": "report.csv"}, media_body=media, fields="id").execute()["id"])
kept = io.BytesIO()
download = MediaIoBaseDownload(kept, drive.files().get_media(fileId="1report"))
while not download.next_chunk()[1]:
    pass
print(kept.getvalue().decode())
