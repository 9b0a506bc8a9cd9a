"""JarvisCore's store by independent means: `cryptography` for AES-GCM, the standard library for the rest.

    key SALT SECRET               the key in hexadecimal
    node                          uuid.getnode(), and whether it is random
    write FOLDER SECRET CIPHER    seals the JSON on standard input as nexus.enc (CIPHER: gcm or stream), making .salt if needed
    read FOLDER SECRET            opens nexus.enc and prints it as JSON
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import sys
import uuid

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def derive(salt_text, secret):
    salt = base64.urlsafe_b64decode(salt_text)
    assert len(salt) == 32
    return hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, 260_000, 32)


def keystream_xor(key, nonce, data):
    out = bytearray()
    for number in range((len(data) + 31) // 32):
        block = hmac.new(key, nonce + number.to_bytes(8, "big"), "sha256").digest()
        out += bytes(a ^ b for a, b in zip(data[32 * number : 32 * number + 32], block))
    return bytes(out)


def seal(key, plain, cipher):
    nonce = os.urandom(12)
    if cipher == "gcm":
        return base64.urlsafe_b64encode(nonce + AESGCM(key).encrypt(nonce, plain, None))
    body = keystream_xor(key, nonce, plain)
    tag = hmac.new(key, nonce + body, "sha256").digest()[:16]
    return base64.urlsafe_b64encode(nonce + body + tag)


def write(folder, secret, cipher):
    salt = folder / ".salt"
    if not salt.exists():
        create(salt, base64.urlsafe_b64encode(os.urandom(32)))
    data = json.load(sys.stdin)
    plain = json.dumps(data, indent=2).encode()
    create(folder / "nexus.enc", seal(derive(salt.read_text(), secret), plain, cipher))


def create(path, content):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def read(folder, secret):
    sealed = base64.urlsafe_b64decode((folder / "nexus.enc").read_bytes())
    key = derive((folder / ".salt").read_text(), secret)
    plain = AESGCM(key).decrypt(sealed[:12], sealed[12:], None)
    json.dump(json.loads(plain), sys.stdout, indent=2)


def node():
    number = uuid.getnode()
    # RFC 4122 section 4.5: a random one has the multicast bit.
    print(number, "random" if number >> 40 & 1 else "hardware")


command, *arguments = sys.argv[1:]
if command == "key":
    print(derive(*arguments).hex())
elif command == "node":
    node()
elif command == "write":
    write(pathlib.Path(arguments[0]), *arguments[1:])
elif command == "read":
    read(pathlib.Path(arguments[0]), *arguments[1:])
else:
    sys.exit(__doc__)
