import os, sys
from websockets.sync.client import connect
headers = {"Authorization": "Bearer " + os.environ["CLIENTS_API_KEY"]}
with connect(sys.argv[1], open_timeout=20, additional_headers=headers) as socket:
    socket.send("proxied")
    print(socket.recv(timeout=20))
