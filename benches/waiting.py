#!/usr/bin/env python3
"""What it takes to send the requests that waited for a renewal, against as many that had nothing to wait for.

    benches/waiting.py [NEXUS] [REQUESTS]        # target/release/nexus, 10000 or as many as open files allow

Each request has a connection of its own through the proxy. A service answers 401 to the token that is registered, and its token endpoint
holds the new one back until all requests wait for it. From then on the CPU time of the proxy is counted until the last one is answered;
then all of them ask once more. The first may take 1.2 times the second.
"""

import asyncio
import json
import multiprocessing
import os
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time

LIMIT = 1.2
HOST = "api.waiting.test"
BODY = b'{"text":"' + b"a" * 1000 + b'"}'
PROVIDER = """name = "waiting"
title = "Waiting"
slots = ["authorization"]
[oauth2]
token_url = "https://{host}:{port}/token"
[[inject]]
hosts = ["{host}"]
port = {port}
strategy = {{ bearer = "{{access_token}}" }}
"""
CONFIG = """[proxy]
listen = ["127.0.0.1:{proxy}"]
[gateway]
listen = "127.0.0.1:{gateway}"
[upstream]
extra_roots = ["{ca}"]
allow_private = ["127.0.0.0/8"]
resolve = {{ "{host}" = "127.0.0.1:{port}" }}
connect_timeout_secs = 60
handshake_timeout_secs = 60
head_timeout_secs = 120
http2 = false
[limits]
head_timeout_secs = 120
[renewal]
waiters = 100000
wait_secs = 120
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def certificates(folder):
    """A CA of this run and the service's certificate."""

    def run(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=waiting", "-days", "2")
    run("req", *key, "-keyout", "service.key", "-out", "service.csr", "-subj", f"/CN={HOST}")
    with open(os.path.join(folder, "extensions"), "w", encoding="ascii") as file:
        file.write(f"subjectAltName=DNS:{HOST}\n")
    run("x509", "-req", "-in", "service.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "service.pem",
        "-days", "2", "-extfile", "extensions")


def serve(folder, port, released):
    """The service and its token endpoint, in a process of its own."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(os.path.join(folder, "service.pem"), os.path.join(folder, "service.key"))

    async def answer(reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if head.startswith(b"post /token"):
                    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                    await reader.readexactly(length)
                    while not released.is_set():
                        await asyncio.sleep(0.01)
                    body = json.dumps({"access_token": "fresh", "token_type": "Bearer", "expires_in": 3600}).encode()
                    status = b"200 OK"
                elif b"authorization: bearer fresh\r\n" in head:
                    status, body = b"200 OK", BODY
                else:
                    status, body = b"401 Unauthorized", b"{}"
                writer.write(b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", port, ssl=context, backlog=4096, ssl_handshake_timeout=120)
        await server.serve_forever()

    asyncio.run(main())


def cpu(process):
    """Its CPU time so far, in seconds."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def connect(proxy, port, context, gate):
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
        writer.write(f"CONNECT {HOST}:{port} HTTP/1.1\r\nhost: {HOST}:{port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise Unexpected(f"no tunnel: {head.decode()}")
        await writer.start_tls(context, server_hostname=HOST, ssl_handshake_timeout=120)
        return reader, writer


class Unexpected(Exception):
    """The measurement says nothing."""


async def answered(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise Unexpected(f"an answer that was not expected: {(head + body).decode()}")


async def settled(process):
    """Waits until the proxy does nothing for a second."""
    before = -1.0
    while cpu(process) - before > 0.03:
        before = cpu(process)
        await asyncio.sleep(1)


async def measure(process, proxy, port, ca, count, released):
    context, gate = ssl.create_default_context(cafile=ca), asyncio.Semaphore(64)
    streams = await asyncio.gather(*(connect(proxy, port, context, gate) for _ in range(count)))
    request = f"GET /v1/me HTTP/1.1\r\nhost: {HOST}:{port}\r\n\r\n".encode()

    async def ask():
        for _, writer in streams:
            writer.write(request)

    await ask()
    await settled(process)
    figures = []
    for what in ("waited", "plain"):
        before, begun = cpu(process), time.perf_counter()
        if what == "waited":
            released.set()
        else:
            await ask()
        await asyncio.gather(*(answered(reader) for reader, _ in streams))
        figures.append((cpu(process) - before, time.perf_counter() - begun))
        print(f"{what:>7}: {figures[-1][0]:6.2f} CPU-s of the proxy, {figures[-1][1]:6.2f} s, {count} requests")
        await settled(process)
    return figures[0][0] / figures[1][0]


def main():
    nexus = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/nexus")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = int(sys.argv[2]) if len(sys.argv) > 2 else min(10_000, most // 2 - 500)
    os.umask(0o077)
    with tempfile.TemporaryDirectory() as folder:
        certificates(folder)
        home, ports = os.path.join(folder, "home"), [free_port() for _ in range(3)]
        proxy, gateway, port = ports
        environment = {"PATH": os.environ.get("PATH", ""), "NEXUS_HOME": home, "NEXUS_SECRET": "a secret of this run alone"}

        def run(*words, text=None):
            subprocess.run([nexus, *words], env=environment, check=True, capture_output=True, input=text, text=True)

        run("init")
        with open(os.path.join(home, "nexus.toml"), "w", encoding="ascii") as file:
            file.write(CONFIG.format(proxy=proxy, gateway=gateway, port=port, host=HOST, ca=os.path.join(folder, "ca.pem")))
        with open(os.path.join(home, "providers", "waiting.toml"), "w", encoding="ascii") as file:
            file.write(PROVIDER.format(host=HOST, port=port))
        run("register", "waiting", "--stdin", text="access_token=stale\nrefresh_token=again\nclient_id=me\nclient_secret=mine\n")
        released = multiprocessing.Event()
        service = multiprocessing.Process(target=serve, args=(folder, port, released), daemon=True)
        service.start()
        with open(os.path.join(folder, "said"), "wb") as said:
            process = subprocess.Popen([nexus, "up", "--color", "never"], env=environment, stderr=said, stdin=subprocess.DEVNULL)
            try:
                while True:
                    try:
                        socket.create_connection(("127.0.0.1", proxy)).close()
                        break
                    except ConnectionRefusedError:
                        if process.poll() is not None:
                            with open(os.path.join(folder, "said"), encoding="utf-8") as said_so_far:
                                sys.exit(said_so_far.read())
                        time.sleep(0.05)
                ratio = asyncio.run(measure(process, proxy, port, os.path.join(home, "ca.pem"), count, released))
            except Unexpected as why:
                sys.exit(str(why))
            finally:
                process.terminate()
                process.wait()
                service.kill()
    print(f"  ratio: {ratio:6.2f} (at most {LIMIT})")
    sys.exit(0 if ratio <= LIMIT else 1)


if __name__ == "__main__":
    main()
