import os, sys, websocket
header = ["Authorization: Bearer " + os.environ["CLIENTS_API_KEY"]]
socket = websocket.create_connection(sys.argv[1], timeout=20, header=header)
socket.send("proxied")
print(socket.recv())
