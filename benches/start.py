#!/usr/bin/env python3
"""From the start of `nexus up` to its first served request, against the one key derivation that can't be spared.

    benches/start.py [NEXUS] [RUNS]        # target/release/nexus, 20

The request goes through TLS to the proxy's port, so that it needs what every intercepted one needs: a random number, a leaf
certificate, a handshake. A run counts from exec to the first byte of the answer; its derivation is what the process itself
measured. What lies between the two should stay under 50 ms.
"""

import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

LIMIT_MS = 50


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def first_answer(port, context, end):
    """Knocks until somebody listens, then asks. Returns when the answer began."""
    while True:
        try:
            plain = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            if time.perf_counter() > end:
                sys.exit("nexus did not listen within ten seconds")
            time.sleep(0.0005)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
        stream.sendall(b"GET http://nexus.internal/ca.pem HTTP/1.1\r\nHost: nexus.internal\r\n\r\n")
        answer = stream.recv(64)
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"an answer that was not expected: {answer!r}")
    return time.perf_counter()


def run(nexus, home):
    """One start: milliseconds to the first answer, and those of its derivation."""
    port = free_port()
    context = ssl.create_default_context(cafile=os.path.join(home, "ca.pem"))
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "NEXUS_HOME": home,
        "NEXUS_LOG": "nexus=debug",
        "NEXUS__PROXY__LISTEN": f'["127.0.0.1:{port}"]',
    }
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen([nexus, "up", "--color", "never"], env=environment, stderr=said, stdin=subprocess.DEVNULL)
        try:
            served = first_answer(port, context, began + 10)
        finally:
            process.terminate()
            process.wait()
        said.seek(0)
        derived = re.search(rb"the key is derived micros=(\d+)", said.read())
    if not derived:
        sys.exit("nexus does not say how long its derivation took")
    return (served - began) * 1000, int(derived[1]) / 1000


def main():
    nexus = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/nexus")
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    with tempfile.TemporaryDirectory() as folder:
        home = os.path.join(folder, "home")
        subprocess.run([nexus, "--home", home, "init"], check=True, capture_output=True)
        measured = [run(nexus, home) for _ in range(runs)]
    between = [served - derived for served, derived in measured]
    rows = [
        ("one key derivation", [derived for _, derived in measured]),
        ("start to first served request", [served for served, _ in measured]),
        ("difference", between),
    ]
    print(f"{'ms':32}{'least':>8}{'median':>8}{'most':>8}")
    for name, values in rows:
        print(f"{name:32}{min(values):8.1f}{statistics.median(values):8.1f}{max(values):8.1f}")
    verdict = statistics.median(between)
    print(f"median difference {verdict:.1f} ms, limit {LIMIT_MS} ms: {'holds' if verdict < LIMIT_MS else 'MISSED'}")
    return 0 if verdict < LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
