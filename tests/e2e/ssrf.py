"""In namespaces of its own: a DNS server that changes its mind, listeners that must not be reached, and nexus between them."""
import json, os, socket, struct, subprocess, sys, threading, time

nexus, home, secret, token, modest = sys.argv[1:6]
PUBLIC = "93.184.216.34"
run = lambda *words: subprocess.run(words, check=True)
run("mount", "--make-rprivate", "/")
run("ip", "link", "set", "lo", "up")
run("ip", "address", "add", PUBLIC + "/32", "dev", "lo")
with open(os.path.join(home, "resolv.conf"), "w") as file:
    file.write("nameserver 127.0.0.1\noptions timeout:5 attempts:1\n")
run("mount", "--bind", os.path.join(home, "resolv.conf"), "/etc/resolv.conf")

NAMES = {
    "rebind.test": [[PUBLIC], ["127.0.0.1"]],
    "back.test": [["127.0.0.1"], [PUBLIC]],
    "mixed.test": [[PUBLIC, "127.0.0.1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "six.test": [["::1"]],
    "meta.test": [["169.254.169.254"]],
    "zero.test": [["0.0.0.0"]],
    "api.acme.test": [["127.0.0.1"]],
    "self.test": [[PUBLIC]],
    "allowed.test": [[PUBLIC]],
}
asked, dead, stalled = {}, set(), threading.Semaphore(0)


def answer(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
        at += query[at] + 1
    kind, = struct.unpack(">H", query[at + 1:at + 3])
    name, records = ".".join(labels), []
    if name.startswith("dead"):
        dead.add(name)
        stalled.release()
        return None
    turns = NAMES.get(name, [[]])
    if kind == 1:
        asked[name] = asked.get(name, 0) + 1
    addresses = turns[min(max(asked.get(name, 1), 1) - 1, len(turns) - 1)]
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if (kind, family) in ((1, socket.AF_INET), (28, socket.AF_INET6)):
            packed = socket.inet_pton(family, address)
            records.append(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(packed)) + packed)
    return query[:2] + b"\x81\x80" + query[4:6] + struct.pack(">HHH", len(records), 0, 0) + query[12:at + 5] + b"".join(records)


def dns():
    while True:
        query, peer = server.recvfrom(512)
        reply = answer(query)
        if reply:
            server.sendto(reply, peer)


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
threading.Thread(target=dns, daemon=True).start()

reached = {"public": 0, "inside": 0}


def victim(which, family, address):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 443))
    listener.listen()

    def serve():
        while True:
            stream, _ = listener.accept()
            reached[which] += 1
            stream.close()

    threading.Thread(target=serve, daemon=True).start()


victim("public", socket.AF_INET, PUBLIC)
victim("inside", socket.AF_INET, "127.0.0.1")
victim("inside", socket.AF_INET6, "::1")

process = subprocess.Popen(
    [nexus, "up", "--announce"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"NEXUS_HOME": home, "NEXUS_SECRET": secret}
)
port = int(process.stdout.readline().decode().split()[1].rsplit(":", 1)[1])


def connect(authority, token=token, inside=False):
    """The status of the CONNECT, or of the request inside where the CONNECT was accepted only to say no."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as stream:
        stream.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Bearer {token}\r\n\r\n".encode())
        status = stream.recv(4096).split(b"\r\n")[0].decode()
        if inside and " 200 " in status:
            stream.sendall(b"GET / HTTP/1.1\r\nHost: " + authority.encode() + b"\r\n\r\n")
            try:
                answer = stream.recv(4096).split(b"\r\n")[0].decode()
            except ConnectionResetError:
                answer = ""
            status = answer or status
        return status


results = []
for authority in [
    "rebind.test:443", "rebind.test:443", "back.test:443", "mixed.test:443", "mapped.test:443", "six.test:443", "meta.test:443", "zero.test:443",
    f"self.test:{port}", f"{PUBLIC}:{port}", "localhost:443", "127.0.0.1:443", "[::1]:443",
]:
    before = dict(reached)
    status = connect(authority, inside=True)
    results.append([authority.replace(str(port), "PORT"), status, reached["public"] - before["public"], reached["inside"] - before["inside"]])
poisoned = connect("api.acme.test:443")


def stall(number):
    try:
        connect(f"dead{number}.test:443")
    except OSError:
        pass


# One agent asks for names that nobody answers for, more of them than there are threads; another one asks for a sound one.
for number in range(400):
    threading.Thread(target=stall, args=(number,), daemon=True).start()
stalled.acquire()
begun = time.monotonic()
other = connect("allowed.test:443", modest)
waited = time.monotonic() - begun
stalling = len(dead)
refused = connect("secret-data.refused.test:443", modest)
process.terminate()
process.wait()
print(json.dumps({"results": results, "inside": reached["inside"], "queries": asked, "poisoned": poisoned, "other": other, "waited": waited, "stalling": stalling, "refused": refused}))
