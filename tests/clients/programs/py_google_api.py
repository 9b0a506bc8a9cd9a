import os, sys
from googleapiclient.http import build_http
answer, body = build_http().request(sys.argv[1], headers={"Authorization": "Bearer " + os.environ["CLIENTS_API_KEY"]})
print(body.decode())
sys.exit(0 if answer.status == 200 else 1)
