"""What examples/sandbox promises, read from its files: Docker itself need not be here. ROOT; prints promise to true or false."""

import json
import os
import re
import sys
import tomllib
from pathlib import Path

import yaml

root = Path(sys.argv[1])
folder = root / "examples/sandbox"
document = yaml.safe_load((folder / "docker-compose.yml").read_text())
services, networks = document["services"], document["networks"]
agent, nexus = services["agent"], services["nexus"]
image = (folder / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
start = (folder / "start.sh").read_text()
cargo = tomllib.loads((root / "Cargo.toml").read_text())
config = tomllib.loads((folder / "nexus.toml").read_text())


def instructions(word):
    """The arguments of each instruction of the last stage."""
    stage = image[max(number for number, line in enumerate(image) if line.startswith("FROM ")):]
    return [line.split(maxsplit=1)[1] for line in stage if line.startswith(word + " ")]


def targets(service):
    return {line.split(":")[1] for line in service["volumes"]}


port = config["proxy"]["listen"][0].rsplit(":", 1)[1]
variables = agent["environment"]
bundles = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"]
proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"]
home = dict(pair.split("=", 1) for pair in instructions("ENV"))
added = re.search(r"useradd .*--uid (\d+) (\w+)", " ".join(instructions("RUN")))
copied = [line.split()[-2:] for line in instructions("COPY")]

print(json.dumps({
    "inside is internal": networks[agent["networks"][0]]["internal"] is True,
    "the agent is nowhere else": len(agent["networks"]) == 1 and "ports" not in agent and "network_mode" not in agent,
    "nexus is on both": sorted(nexus["networks"]) == sorted(networks),
    "nothing is published to the host": all("ports" not in service for service in services.values()),
    "the bundle is read-only": "bundle:/bundle:ro" in agent["volumes"],
    "the home is nexus's alone": [name for name, service in services.items()
                                  if any(line.startswith("home:") for line in service["volumes"])] == ["nexus"],
    "the agent trusts the bundle": all(variables[name] == "/bundle/ca-bundle.pem" for name in bundles),
    "the agent's proxy is nexus, with its token": all(
        re.fullmatch(rf"http://sandbox:\$\{{AGENT_TOKEN[^}}]*\}}@nexus:{port}", variables[name]) for name in proxies),
    "nexus is not root": added is not None and int(added[1]) > 0 and instructions("USER") == [added[2]] and "user" not in nexus,
    "neither has powers": all(service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
                              for service in (nexus, agent)),
    "the image holds the package's binary": [f"/source/target/release/{cargo['package']['name']}", "/usr/local/bin/nexus"] in copied,
    "its entry point is start.sh": ["examples/sandbox/start.sh", "/usr/local/bin/start-nexus"] in copied
    and instructions("ENTRYPOINT") == ['["start-nexus"]'] and os.access(folder / "start.sh", os.X_OK),
    "its home is a volume": set(home) == {"NEXUS_HOME"} and home["NEXUS_HOME"] in targets(nexus),
    "its volumes are mounted": set(json.loads(instructions("VOLUME")[0])) <= targets(nexus),
    "start.sh reads what is mounted": {"/etc/nexus/nexus.toml", "/bundle"} <= targets(nexus)
    and ":-/etc/nexus/nexus.toml}" in start and ":-/bundle}" in start,
    "there is one port": instructions("EXPOSE") == [port] and f"/127.0.0.1/{port}" in " ".join(nexus["healthcheck"]["test"]),
    "the agent waits for a healthy nexus": agent["depends_on"]["nexus"]["condition"] == "service_healthy",
    "what is built exists": all((root / source).exists() for source, _ in copied if not source.startswith("/")),
    "the context is this repository": (folder / nexus["build"]["context"]).resolve() == root.resolve()
    and nexus["build"]["dockerfile"] == "examples/sandbox/Dockerfile",
}))
