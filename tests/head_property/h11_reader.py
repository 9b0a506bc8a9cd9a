"""Reads requests with h11 and tells what it read, one JSON object a line.

A line of input is a message in hexadecimal, a space, and what follows it on the connection.
"""

import json
import sys

import h11


def read(message: bytes, rest: bytes) -> dict:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(message + rest)
    request, body, trailers = None, b"", []
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            return {"error": f"not complete: {event}"}
    return {
        "method": request.method.decode(),
        "target": request.target.decode(),
        "version": "HTTP/" + request.http_version.decode(),
        "headers": [[name.decode(), value.decode("latin-1")] for name, value in request.headers],
        "body": body.hex(),
        "end": len(message) + len(rest) - len(connection.trailing_data[0]),
    }


for line in sys.stdin:
    message, rest = (bytes.fromhex(part) for part in line.rstrip("\n").split(" "))
    try:
        answer = read(message, rest)
    except h11.RemoteProtocolError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))
