# Calls /echo.Echo/Say with bytes; the answer is printed as it is.
import os, sys, grpc
channel = grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials())
metadata = [("authorization", "Bearer " + os.environ["CLIENTS_API_KEY"])]
print(channel.unary_unary("/echo.Echo/Say")(b"hello", timeout=20, metadata=metadata).decode())
