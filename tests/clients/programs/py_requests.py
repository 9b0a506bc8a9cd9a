import os, sys, requests
answer = requests.get(sys.argv[1], timeout=20, headers={"Authorization": "Bearer " + os.environ["CLIENTS_API_KEY"]})
print(answer.text)
answer.raise_for_status()
