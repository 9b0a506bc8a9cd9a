#!/usr/bin/env python3
"""A small agent as a model might write it: it calls an API, and holds no credential.

There is no auth code here. Run it under `nexus run -- python3 examples/python_agent/agent.py`: the environment leads its
requests through Nexus, which puts on the credential of whoever runs it. Where the `requests` package is there, it is used too.
"""

import json
import sys
import urllib.error
import urllib.request

API = "https://api.github.com"


def with_urllib():
    """Reads the account with Python's own library."""
    with urllib.request.urlopen(f"{API}/user", timeout=30) as response:
        return json.load(response)["login"]


def with_requests():
    """Opens an issue with `requests`, which brings its own roots unless REQUESTS_CA_BUNDLE names others."""
    import requests

    response = requests.post(f"{API}/repos/octo/hello/issues", json={"title": "Hello"}, timeout=30)
    response.raise_for_status()
    return response.json()["number"]


def main():
    try:
        print(f"urllib: I am {with_urllib()}")
    except urllib.error.HTTPError as error:
        # A refusal of Nexus is a problem document (RFC 9457); its `detail` says what to do next.
        print(f"urllib: {error.code} {error.read().decode(errors='replace')}", file=sys.stderr)
        return 1
    try:
        print(f"requests: opened issue {with_requests()}")
    except ImportError:
        print("requests: not installed here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
