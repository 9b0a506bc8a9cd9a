#!/usr/bin/env python3
"""Says what docker-compose.yml gives a service, for run-in-namespaces.sh, which does without Docker.

    compose.py VOLUMES SERVICE environment|command|healthcheck     its entries, each ended by a NUL byte
    compose.py VOLUMES SERVICE path PATH                           where PATH of its container lies here

${NAME} is filled in from the environment, as Docker Compose does. A path below a mount becomes the path here: a named volume is a
folder in VOLUMES, anything else is relative to docker-compose.yml.
"""

import os
import re
import sys
from pathlib import Path

try:
    import yaml
except ImportError:
    sys.exit("compose.py: needs PyYAML: apt-get install python3-yaml, or tests/install.sh quick")

FILE = Path(__file__).resolve().parent / "docker-compose.yml"


def filled_in(text):
    def value(match):
        name, message = match.groups()
        if not os.environ.get(name):
            sys.exit(f"compose.py: {name} is not set: {message or 'docker-compose.yml uses it'}")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)(?::\?([^}]*))?\}", value, text)


def mounts(document, service, volumes):
    """Container path to path here, the longest first."""
    pairs = {}
    for line in service.get("volumes", []):
        source, target = line.split(":")[:2]
        pairs[target] = volumes / source if source in document["volumes"] else (FILE.parent / source).resolve()
    return sorted(pairs.items(), key=lambda pair: -len(pair[0]))


def here(text, pairs):
    for target, source in pairs:
        text = re.sub(rf"(?<![\w/.]){re.escape(target)}(?![\w.-])", str(source), text)
    return text


def main():
    volumes, name, what = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    document = yaml.safe_load(FILE.read_text())
    service = document["services"][name]
    pairs = mounts(document, service, volumes)
    if what == "path":
        path = here(sys.argv[4], pairs)
        if path == sys.argv[4]:
            sys.exit(f"compose.py: {name} mounts nothing at {path}")
        print(path)
        return
    entries = {
        "environment": lambda: [f"{key}={filled_in(value)}" for key, value in service["environment"].items()],
        "command": lambda: service["command"],
        "healthcheck": lambda: service["healthcheck"]["test"][1:],
    }[what]()
    sys.stdout.write("".join(here(entry, pairs) + "\0" for entry in entries))


main()
