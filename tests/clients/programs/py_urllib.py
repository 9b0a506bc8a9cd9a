import os, sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + os.environ["CLIENTS_API_KEY"]})
print(urllib.request.urlopen(request, timeout=20).read().decode())
