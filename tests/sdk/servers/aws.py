"""AWS: moto, behind a check of every signature by AWS's own signer for Python.

A line of JSON says its certificate and key (DER in base64), what is stored, and the call from which on the session has expired. It
answers with its port, and before it answers a request with a line of JSON about it. It ends when its input does.

moto's own check knows no presigned URL and believes what is stated of a body. Here every signature is made again from what arrived,
and every stated hash and checksum from the body.
"""

import base64
import datetime
import hashlib
import io
import json
import re
import ssl
import sys
import tempfile
import threading
import urllib.parse
import zlib

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wsgi import get_input_stream

REGION = "eu-west-1"
# A bucket has a name without a region too.
HOST = re.compile(rf"(?:(?:photos\.)?(s3|dynamodb|sts)\.{REGION}|photos\.(s3))\.amazonaws\.com")
FORM = re.compile(r"AWS4-HMAC-SHA256 Credential=([^,/]+)/([^,]+), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})")


class Fault(Exception):
    """What no honest request has."""


def must(holds, fault):
    if not holds:
        raise Fault(fault)


class Arrived:
    """One request, as it was on the wire."""

    def __init__(self, environ):
        self.method, self.target = environ["REQUEST_METHOD"], environ["RAW_URI"]
        self.fields = [(name.lower(), value) for name, value in environ["fields"]]
        self.headers = dict(self.fields)
        self.host = self.headers["host"]
        self.path, _, query = self.target.partition("?")
        self.query = urllib.parse.parse_qsl(query, keep_blank_values=True)
        self.body = get_input_stream(environ).read()

    def call(self):
        """Its name in the table: what is asked, without what differs from one run to the next."""
        asked = [name for name, _ in self.query if not name.lower().startswith("x-") and name not in ("uploadId", "partNumber")]
        asked += ["part"] * ("partNumber" in dict(self.query))
        asked += [value for name, value in self.form() if name == "Action"]
        asked += self.headers.get("x-amz-target", "").split(".")[1:]
        asked += ["presigned"] * ("X-Amz-Signature" in dict(self.query))
        return " ".join([self.method, self.host + self.path, *asked])

    def form(self):
        return urllib.parse.parse_qsl(self.body.decode()) if "form-urlencoded" in self.headers.get("content-type", "") else []


def check(arrived, stored):
    """Fails unless the stored keys signed this, for this host, now."""
    must(len(arrived.fields) == len(arrived.headers), "a field came twice")
    known = HOST.fullmatch(arrived.host)
    must(known, f"no service at {arrived.host}")
    service = known[1] or known[2]
    token = stored.get("session_token")
    query = dict(arrived.query)
    must(len(query) == len(arrived.query), "a parameter came twice")
    if "X-Amz-Signature" in query:
        must("authorization" not in arrived.headers, "two signatures")
        key, _, scope = query["X-Amz-Credential"].partition("/")
        names, signature, stamp = query["X-Amz-SignedHeaders"], query["X-Amz-Signature"], query["X-Amz-Date"]
        must(query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256", "another algorithm")
        target = re.sub("[?&]X-Amz-Signature=[0-9a-f]{64}", "", arrived.target)
        lifetime, kind = int(query["X-Amz-Expires"]), S3SigV4QueryAuth
        given_token = query.get("X-Amz-Security-Token")
    else:
        found = FORM.fullmatch(arrived.headers.get("authorization", ""))
        must(found, "no signature")
        key, scope, names, signature = found.groups()
        stamp, target, lifetime = arrived.headers["x-amz-date"], arrived.target, 300
        kind = S3SigV4Auth if service == "s3" else SigV4Auth
        given_token = arrived.headers.get("x-amz-security-token")
        unsigned = [name for name in arrived.headers if name.startswith("x-amz-") and name not in names.split(";")]
        must(not unsigned, f"not signed: {unsigned}")
    must(key == stored["access_key_id"], f"the key is {key}")
    must(given_token == token, f"the token is {given_token}")
    must(scope == f"{stamp[:8]}/{REGION}/{service}/aws4_request", f"the scope is {scope}")
    signed = names.split(";")
    must("host" in signed and set(signed) <= set(arrived.headers), f"signed are {names}")
    made = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    age = (datetime.datetime.now(datetime.timezone.utc) - made).total_seconds()
    must(-300 <= age <= lifetime, f"signed {age} s ago")
    request = AWSRequest(
        method=arrived.method,
        url=f"https://{arrived.host}{target}",
        headers={name: arrived.headers[name] for name in signed},
        data=arrived.body,
    )
    request.context["timestamp"] = stamp
    signer = kind(Credentials(key, stored["secret_access_key"], token), service, REGION)
    canonical = signer.canonical_request(request)
    expected = signer.signature(signer.string_to_sign(request, canonical), request)
    must(signature == expected, f"the signature is not of:\n{canonical}")
    check_body(arrived)


def check_body(arrived):
    """What is stated of the body is so."""
    stated = arrived.headers.get("x-amz-content-sha256")
    body, trailers = arrived.body, {}
    if stated == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
        body, trailers = without_chunks(arrived.body)
        must(len(body) == int(arrived.headers["x-amz-decoded-content-length"]), "not as long as it says")
        must(list(trailers) == arrived.headers["x-amz-trailer"].split(","), f"trailers {trailers}")
    elif stated not in (None, "UNSIGNED-PAYLOAD"):
        must(stated == hashlib.sha256(body).hexdigest(), f"the hash of {len(body)} bytes is not {stated}")
    checksum = trailers.get("x-amz-checksum-crc32") or arrived.headers.get("x-amz-checksum-crc32")
    if checksum and not (arrived.method == "POST" and "uploadId" in dict(arrived.query)):
        must(checksum == base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(), "not the checksum")


def without_chunks(framed):
    """The data of `aws-chunked` and its trailers."""
    stream, pieces = io.BytesIO(framed), []
    while size := int(stream.readline(), 16):
        pieces.append(stream.read(size))
        must(stream.readline() == b"\r\n", "a chunk without an end")
    lines = stream.read().decode().split("\r\n")
    must(lines[-2:] == ["", ""], "no end")
    return b"".join(pieces), dict(line.split(":", 1) for line in lines[:-2])


class Service:
    """WSGI: checks, says what it saw, and lets moto answer."""

    def __init__(self, stored, expires):
        self.stored, self.expires, self.expired = stored, expires, False
        self.moto, self.lock = DomainDispatcherApplication(create_backend_app), threading.Lock()
        user = iam_backends[DEFAULT_ACCOUNT_ID]["aws"].create_user(REGION, "ada")
        user.create_access_key("AKIA").access_key_id = stored["access_key_id"]

    def __call__(self, environ, start):
        arrived, fault = Arrived(environ), None
        try:
            check(arrived, self.stored)
        except Exception as error:
            fault = f"{arrived.method} {arrived.host}{arrived.target}: {type(error).__name__}: {error}"
        self.expired = self.expired or arrived.call() == self.expires
        line = {
            "call": arrived.call(),
            "fault": fault,
            "expired": self.expired,
            "method": arrived.method,
            "host": arrived.host,
            "target": arrived.target,
            "fields": arrived.fields,
            # What is larger is data, of which the program knows whether it is right.
            "body": arrived.body.decode("latin-1") if len(arrived.body) < 10_000 else "",
        }
        with self.lock:
            print(json.dumps(line), flush=True)
        if fault:
            return refuse(start, arrived, "SignatureDoesNotMatch", "The signature we calculated does not match.")
        if self.expired:
            return refuse(start, arrived, "ExpiredToken", "The provided token has expired.")
        environ |= {"wsgi.input": io.BytesIO(arrived.body), "CONTENT_LENGTH": str(len(arrived.body))}
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        return self.moto(environ, start)


def refuse(start, arrived, code, message):
    """In the form of each protocol (Smithy, "AWS Protocols": restXml without wrapping, awsQuery, awsJson 1.0)."""
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    kind, body = "text/xml", f"<ErrorResponse>{error}</ErrorResponse>"
    if "s3" in arrived.host:
        body = error
    if "x-amz-target" in arrived.headers:
        kind = "application/x-amz-json-1.0"
        body = json.dumps({"__type": f"com.amazon.coral.service#{code}Exception", "message": message})
    status = "400 Bad Request" if code == "ExpiredToken" and "sts" not in arrived.host else "403 Forbidden"
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body.encode()]


class Handler(MotoRequestHandler):
    def make_environ(self):
        return super().make_environ() | {"fields": self.headers.items()}

    def log_request(self, *_):
        pass


def main():
    told = json.loads(sys.stdin.readline())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as file:
        for name, word in (("certificate", "CERTIFICATE"), ("key", "PRIVATE KEY")):
            file.write(ssl.DER_cert_to_PEM_cert(base64.b64decode(told[name])).replace("CERTIFICATE", word))
        file.flush()
        context.load_cert_chain(file.name)
    service = Service(told["stored"], told["expires"])
    server = make_server("127.0.0.1", 0, service, threaded=True, request_handler=Handler, ssl_context=context)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()


main()
