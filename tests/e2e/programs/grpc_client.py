"""Every kind of gRPC call to TARGET, by the environment's proxy and roots alone."""

import queue
import sys

import grpc

DEADLINE = 30


def check(condition, what):
    if not condition:
        sys.exit(f"not as it should be: {what}")


def main():
    options = [("grpc.max_receive_message_length", -1)]
    channel = grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials(), options)
    unary = lambda name: channel.unary_unary("/test.Calls/" + name)

    answer, call = unary("Upper").with_call(b"words", timeout=DEADLINE, metadata=(("authorization", "Bearer mine"),))
    trailers = dict(call.trailing_metadata())
    check(answer == b"WORDS", answer)
    check(trailers.get("x-trailer") == "unary", trailers)
    check(trailers.get("x-seen-key") != "Bearer mine", trailers)

    try:
        unary("Fail")(b"reason", timeout=DEADLINE)
        sys.exit("a failed call must fail")
    except grpc.RpcError as error:
        check(error.code() == grpc.StatusCode.FAILED_PRECONDITION, error)
        check(error.details() == "told so: reason", error)

    answers = list(channel.unary_stream("/test.Calls/Count")(b"1000", timeout=DEADLINE))
    check(answers == [str(number).encode() for number in range(1000)], answers)

    pieces = (b"x" * 100_000 for _ in range(100))
    answer = channel.stream_unary("/test.Calls/Total")(pieces, timeout=DEADLINE)
    check(answer == b"10000000", answer)

    # A message is written only after the answer to the one before it: nothing may be held back.
    asked = queue.Queue()
    asked.put(b"0")
    answers = channel.stream_stream("/test.Calls/Echo")(iter(asked.get, None), timeout=DEADLINE)
    for number, answer in enumerate(answers):
        check(answer == str(number).encode(), answer)
        asked.put(str(number + 1).encode() if number < 100 else None)
    check(number == 100, number)
    print("unary, failed, server, client and both streams")


main()
