import sys
from websockets.sync.client import connect
with connect(sys.argv[1], open_timeout=20) as socket:
    socket.send("hello")
    print(socket.recv(timeout=20))
