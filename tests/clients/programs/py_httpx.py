import os, sys, httpx
headers = {"Authorization": "Bearer " + os.environ["CLIENTS_API_KEY"]}
print(httpx.get(sys.argv[1], timeout=20, headers=headers).raise_for_status().text)
