#!/usr/bin/env python3
"""A pretend GitHub over TLS: an API, git over HTTP, and a token endpoint that rotates its tokens.

It knows which tokens are alive, answers 401 to all others, and writes down what it saw, one JSON object a line, with
credentials masked. It prints `listening PORT` once it listens. The first tokens come from the environment
(`SERVICE_ACCESS_TOKEN`, `SERVICE_REFRESH_TOKEN`, `SERVICE_CLIENT_ID`, `SERVICE_CLIENT_SECRET`).

    service.py --certificate CERT --key KEY --log FILE [--repositories FOLDER] [--listen ADDRESS:PORT]
"""

import argparse
import base64
import json
import os
import secrets
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def mask(secret):
    """`gho_…1234` for a long secret, dots for a short one."""
    return f"{secret[:4]}…{secret[-4:]}" if len(secret) > 12 else "…"


class Tokens:
    """The grant: one live access token and one live refresh token at a time."""

    def __init__(self, environment):
        self.lock = threading.Lock()
        self.client = (environment["SERVICE_CLIENT_ID"], environment["SERVICE_CLIENT_SECRET"])
        self.access = environment["SERVICE_ACCESS_TOKEN"]
        self.refresh = environment["SERVICE_REFRESH_TOKEN"]

    def alive(self, token):
        with self.lock:
            return self.access is not None and secrets.compare_digest(token.encode(), self.access.encode())

    def end(self):
        """The access token ends now, whatever was promised."""
        with self.lock:
            self.access = None

    def renew(self, form):
        """RFC 6749 §6, with a new refresh token each time; None for what is not granted."""
        field = lambda name: form.get(name, [""])[0]
        with self.lock:
            known = (field("client_id"), field("client_secret")) == self.client
            if not known or field("grant_type") != "refresh_token" or field("refresh_token") != self.refresh:
                return None
            self.access = "gho_" + secrets.token_hex(18)
            self.refresh = "ghr_" + secrets.token_hex(18)
            return {"access_token": self.access, "refresh_token": self.refresh, "expires_in": 28800, "token_type": "bearer"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.handle_request()

    def do_POST(self):
        self.handle_request()

    def handle_request(self):
        body = self.read_body()
        host = self.headers.get("Host", "").split(":")[0]
        path = urlsplit(self.path).path
        if path == "/pretend/end-tokens" and self.client_address[0] == "127.0.0.1":
            self.server.tokens.end()
            return self.answer(200, {"ended": True})
        if (host, path) == ("github.com", "/login/oauth/access_token"):
            return self.token_endpoint(body)
        if not self.server.tokens.alive(self.token()):
            basic = 'Basic realm="GitHub"' if host == "github.com" else None
            return self.answer(401, {"message": "Bad credentials"}, {"WWW-Authenticate": basic} if basic else {})
        if host == "github.com":
            return self.git(body)
        if path == "/user":
            return self.answer(200, {"login": "octo", "id": 1})
        if path.startswith("/repos/") and self.command == "POST":
            return self.answer(201, {"number": 7, "title": json.loads(body or b"{}").get("title")})
        return self.answer(404, {"message": "Not Found"})

    def token(self):
        """The credential of a request: a bearer token, or the password of Basic (RFC 7617)."""
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                return base64.b64decode(value).decode().partition(":")[2]
            except ValueError:
                return ""
        return value if kind.lower() in ("bearer", "token") else ""

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def token_endpoint(self, body):
        reply = self.server.tokens.renew(parse_qs(body.decode()))
        if reply is None:
            return self.answer(400, {"error": "invalid_grant"})
        return self.answer(200, reply, {"Cache-Control": "no-store"})

    def git(self, body):
        """Smart HTTP by git's own CGI program."""
        url = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": self.server.repositories, "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command, "PATH_INFO": url.path, "QUERY_STRING": url.query, "REMOTE_USER": "octo",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, timeout=60)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send(int(fields.pop("Status", "200").split()[0]), content, fields)

    def answer(self, status, document, fields=None):
        self.send(status, json.dumps(document).encode() + b"\n", {"Content-Type": "application/json", **(fields or {})})

    def send(self, status, content, fields):
        self.server.saw(self, status)
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class Service(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, arguments):
        host, _, port = arguments.listen.rpartition(":")
        super().__init__((host, int(port)), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate, arguments.key)
        # The handshake happens in the connection's own thread, at its first read.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.tokens = Tokens(os.environ)
        self.repositories = arguments.repositories
        self.log = open(arguments.log, "a", encoding="utf-8")
        self.log_lock = threading.Lock()

    def saw(self, request, status):
        """Writes down one request. Credentials are masked; their kind and place are what matters here."""
        kind = request.headers.get("Authorization", "").partition(" ")[0]
        line = {
            "method": request.command, "host": request.headers.get("Host", ""), "path": request.path,
            "authorization": f"{kind} {mask(request.token())}" if kind else None, "status": status,
            "agent": request.headers.get("User-Agent", ""),
        }
        with self.log_lock:
            self.log.write(json.dumps(line, ensure_ascii=False) + "\n")
            self.log.flush()

    def handle_error(self, request, client_address):
        """A caller that leaves in the middle is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--repositories", default="/nonexistent")
    parser.add_argument("--listen", default="127.0.0.1:0")
    service = Service(parser.parse_args())
    print(f"listening {service.server_address[1]}", flush=True)
    try:
        service.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
