"""A gRPC service with every kind of call: CHAIN-FILE KEY-FILE; says its port, ends with its standard input."""

import sys
from concurrent import futures

import grpc


def metadata(context):
    return dict(context.invocation_metadata())


def upper(request, context):
    context.set_trailing_metadata((("x-trailer", "unary"), ("x-seen-key", metadata(context).get("authorization", "none"))))
    return request.upper()


def fail(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "told so: " + request.decode())


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def total(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def echo(requests, context):
    for request in requests:
        yield request


def main():
    chain, key = (open(name, "rb").read() for name in sys.argv[1:3])
    handlers = {
        "Upper": grpc.unary_unary_rpc_method_handler(upper),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
    }
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Calls", handlers),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None)


main()
