import sys, websocket
socket = websocket.create_connection(sys.argv[1], timeout=20)
socket.send("hello")
print(socket.recv())
