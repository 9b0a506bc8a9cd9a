#!/usr/bin/env python3
"""Runs unmodified clients through the proxy and prints a table of who got the answer.

Each client makes one request with nothing but the environment that Nexus gives it: `nexus run -- CLIENT` (the default) or
the variables of `nexus env` (`--via env`). Where its way of asking has a place for a key, it sends the placeholder that it
finds in CLIENTS_API_KEY. It passed when it ended with 0 and printed the expected text.

    run.py --url https://api.clients.test/echo --expect proxied [--nexus PATH] [--only NAME,…] [-- NEXUS OPTIONS]

Clients that are not installed are absent. Exit code: 0 all that are there passed, 1 one failed, 2 misuse.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "test-venv" / "bin"
NODE = TARGET / "test-node"
DEADLINE_SECS = 90


@dataclass
class Client:
    """One program: what it needs to be there, its command line, and which of the addresses it calls."""

    name: str
    command: list
    needs: str = ""            # `python:MODULE`, `node:PACKAGE`, `ruby:GEM`, or nothing
    quick: bool = False
    door: str = "url"          # url, http_url, git, ws, grpc, index, npm
    binary: str = ""           # where it isn't the first word of the command


def python(name, module, **more):
    return Client(f"py-{name}", [str(VENV / "python"), str(HERE / "programs" / f"py_{name.replace('-', '_')}.py"), "{}"],
                  f"python:{module}", **more)


def node(name, file, package="", **more):
    return Client(f"node-{name}", ["node", str(NODE / file), "{}"], f"node:{package}" if package else "", **more)


def other(engine, pattern, *names):
    """The same programs under another JavaScript engine, whose binary is in the package that npm chose for this machine."""
    binary = next((str(path) for path in NODE.glob(f"node_modules/{pattern}")), engine)
    start = [binary, "run", "--no-config", "-A"] if engine == "deno" else [binary]
    files = {client.name: client for client in CLIENTS}
    same = [(name, files[f"node-{name}"]) for name in names]
    return [Client(f"{engine}-{name}", [*start, *client.command[1:]], client.needs, door=client.door) for name, client in same]


def program(name, interpreter, file, needs="", **more):
    return Client(name, [*interpreter, str(HERE / "programs" / file), "{}"], needs, **more)


def tool(name, options, program="", **more):
    """A command of the virtual environment, else of the system; in its options $1 is the address and $KEY the placeholder."""
    program = program or name
    binary = str(VENV / program) if (VENV / program).exists() else program
    line = f"exec {shlex.quote(binary)} {options.replace('$KEY', '$CLIENTS_API_KEY')}"
    return Client(name, ["sh", "-c", line, name, "{}"], binary=binary, **more)


CLIENTS = [
    tool("curl", '-sS --fail-with-body -H "authorization: Bearer $KEY" "$1"', quick=True),
    tool("curl-http", '-sS --fail-with-body "$1"', "curl", quick=True, door="http_url"),
    tool("wget", '-q -T20 -t1 -O- --header "authorization: Bearer $KEY" "$1"', quick=True),
    tool("wget-http", '-q -T20 -t1 -O- "$1"', "wget", quick=True, door="http_url"),
    tool("wget2", '-q -T20 --tries=1 -O- --header "authorization: Bearer $KEY" "$1"', quick=True),
    tool("git", '-c http.extraHeader="authorization: Bearer $KEY" ls-remote "$1"', quick=True, door="git"),
    tool("httpie", '--ignore-stdin --check-status GET "$1" "authorization:Bearer $KEY"', "http"),
    tool("aws-cli", 's3api get-object --bucket bucket --key key /dev/stderr --endpoint-url "$1"', "aws"),
    tool("pip", '-m pip index versions proxied --no-input --retries=0 --index-url "https://x:$KEY@${1#https://}"', "python",
         door="index"),
    tool("uv", 'pip install proxied --dry-run --no-cache --target there --index-url "https://x:$KEY@${1#https://}"', door="index"),
    Client("gh", ["sh", "-c", 'rest=${1#https://}; export GH_HOST="${rest%%/*}" GH_ENTERPRISE_TOKEN="$CLIENTS_API_KEY"; exec gh api user',
                  "gh", "{}"], binary="gh"),
    Client("cargo", [os.environ.get("CARGO", "cargo"), "search", "proxied", "--index", "sparse+{}"], door="crates"),
    tool("npm", 'view proxied name --fetch-retries=0 --registry "$1" "--${1#https:}:_authToken=$KEY"', door="npm"),
    python("urllib", "urllib", quick=True),
    python("urllib3", "urllib3", quick=True),
    python("requests", "requests", quick=True),
    python("httpx", "httpx", quick=True),
    python("aiohttp", "aiohttp", quick=True),
    python("niquests", "niquests"),
    python("openai", "openai"),
    python("anthropic", "anthropic"),
    python("slack", "slack_sdk"),
    python("google-api", "googleapiclient"),
    python("boto3", "boto3"),
    python("websockets", "websockets", door="ws"),
    python("websocket-client", "websocket", door="ws"),
    python("grpcio", "grpc", door="grpc"),
    node("https", "node_https.cjs", quick=True),
    node("https-global", "node_https_global.cjs", quick=True),
    node("http", "node_http.cjs", quick=True, door="http_url"),
    node("fetch", "node_fetch_builtin.mjs", quick=True),
    node("fetch-http", "node_fetch_builtin.mjs", quick=True, door="http_url"),
    node("worker", "node_worker.mjs", quick=True),
    node("axios", "node_axios.cjs", "axios", quick=True),
    node("got", "node_got.mjs", "got"),
    node("node-fetch", "node_node_fetch.mjs", "node-fetch"),
    node("undici", "node_undici.cjs", "undici"),
    node("agentkeepalive", "node_agentkeepalive.cjs", "agentkeepalive"),
    node("https-proxy-agent", "node_proxy_agent.cjs", "https-proxy-agent"),
    node("octokit", "node_octokit.mjs", "@octokit/core"),
    node("openai", "node_openai.mjs", "openai"),
    node("anthropic", "node_anthropic.mjs", "@anthropic-ai/sdk"),
    node("stripe", "node_stripe.cjs", "stripe"),
    node("slack", "node_slack.cjs", "@slack/web-api"),
    node("aws-sdk", "node_aws_sdk.mjs", "@aws-sdk/client-s3"),
    node("ws", "node_ws.cjs", "ws", door="ws"),
    node("grpc-js", "node_grpc.cjs", "@grpc/grpc-js", door="grpc"),
    program("ruby-net-http", ["ruby"], "ruby_net_http.rb", quick=True),
    program("ruby-faraday", ["ruby"], "ruby_faraday.rb", "ruby:faraday"),
    program("php-curl", ["php"], "php_curl.php", quick=True),
    program("php-streams", ["php"], "php_streams.php", quick=True),
    program("php-streams-http", ["php"], "php_streams.php", quick=True, door="http_url"),
    program("perl-lwp", ["perl"], "perl_lwp.pl", "perl:LWP::Protocol::https", quick=True),
    program("perl-http-tiny", ["perl"], "perl_http_tiny.pl", "perl:IO::Socket::SSL", quick=True),
    program("java-httpclient", ["java"], "JavaHttpClient.java"),
    program("java-urlconnection", ["java"], "JavaUrlConnection.java"),
    Client("go-net-http", [str(TARGET / "test-go" / "go_net_http"), "{}"]),  # built by install.sh
]
CLIENTS += [
    *other("node24", "node-linux-*/bin/node", "fetch", "https", "https-global", "worker", "axios", "got", "stripe", "slack", "openai", "aws-sdk",
           "grpc-js"),
    *other("deno", "@deno/linux-*/deno", "fetch"),
    *other("bun", "@oven/bun-linux-*/bin/bun", "fetch", "https-global"),
]


def absent(client):
    """Why the client can't be tried, or nothing."""
    binary = client.binary or client.command[0]
    if not shutil.which(binary):
        return f"no {Path(binary).name}"
    kind, _, name = client.needs.partition(":")
    probe = {
        "python": [str(VENV / "python"), "-c", f"import {name}"],
        "ruby": ["ruby", "-e", f"require '{name}'"],
        "perl": ["perl", f"-M{name}", "-e1"],
    }.get(kind)
    if probe and subprocess.run(probe, capture_output=True).returncode != 0:
        return f"no {name}"
    if kind == "node" and not (NODE / "node_modules" / name).exists():
        return f"no {name}"
    return ""


def environment(options):
    """What the client's own environment is, before Nexus: as a developer has it, without a proxy or a CA."""
    hidden = ("proxy", "_CA_", "CERT", "CAINFO", "CAFILE", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "PIP_", "NPM_CONFIG_")
    kept = {name: value for name, value in os.environ.items() if not any(part.lower() in name.lower() for part in hidden)}
    keys = {"AWS_ACCESS_KEY_ID": "AKIAPLACEHOLDER", "AWS_SECRET_ACCESS_KEY": "placeholder", "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": ""}
    if options.via == "env":
        agent = ["--agent", options.agent] if options.agent else []
        shown = subprocess.run([options.nexus, *options.nexus_options, "env", "--format", "json", *agent],
                               stdout=subprocess.PIPE, check=True, env=kept)
        kept = {name: value for name, value in kept.items() if not name.startswith("NEXUS_")}
        kept.update(json.loads(shown.stdout))
    kept.update({name: value for name, value in keys.items() if name not in kept})
    return kept


def attempt(client, options, env):
    url = getattr(options, client.door)
    if url is None:
        return "skipped", 0.0, f"no --{client.door.replace('_', '-')}"
    missing = absent(client)
    if missing:
        return "absent", 0.0, missing
    command = [part.replace("{}", url) for part in client.command]
    if options.via == "run":
        keep = ["--keep", "AWS_ACCESS_KEY_ID", "--keep", "AWS_SECRET_ACCESS_KEY"] if client.name == "aws-cli" else []
        command = [options.nexus, *options.nexus_options, "run", *keep, "--", *command]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            ended = subprocess.run(command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, timeout=DEADLINE_SECS)
        except subprocess.TimeoutExpired:
            return "FAIL", time.monotonic() - started, f"no answer in {DEADLINE_SECS} s"
    spent = time.monotonic() - started
    said = ended.stdout.decode(errors="replace")
    if ended.returncode == 0 and options.expect in said:
        return "ok", spent, ""
    return "FAIL", spent, f"exit {ended.returncode}: {' '.join(said.split())[-300:]}"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nexus", default=str(TARGET / "debug" / "nexus"), help="the binary")
    parser.add_argument("--list", action="store_true", help="print the clients, and which are of the quick tier")
    parser.add_argument("--url", help="https URL whose answer is a JSON object that holds the expected text")
    parser.add_argument("--http-url", help="the same without TLS")
    parser.add_argument("--git", help="https URL of a repository; the expected text is in a name of its refs")
    parser.add_argument("--ws", help="wss URL that echoes a message with the expected text")
    parser.add_argument("--index", help="https URL of a Python index that has a package called by the expected text")
    parser.add_argument("--npm", help="https URL of an npm registry that has one")
    parser.add_argument("--crates", help="https URL of a sparse cargo registry that has one")
    parser.add_argument("--grpc", help="host:port with /echo.Echo/Say, which answers with the expected text")
    parser.add_argument("--expect", help="the expected text")
    parser.add_argument("--via", choices=["run", "env"], default="run")
    parser.add_argument("--agent", help="as whom `nexus env` is asked; NEXUS_AGENT_TOKEN holds the token")
    parser.add_argument("--only", help="names of clients, with commas")
    parser.add_argument("--without", default="", help="names of clients to leave out, with commas")
    parser.add_argument("--tier", choices=["quick", "all"], default="all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("nexus_options", nargs="*", metavar="-- NEXUS OPTIONS", help="go before the word `run` or `env`")
    options = parser.parse_args()
    if not options.list and (options.expect is None or urlsplit(options.url or "").scheme != "https"):
        parser.error("--expect and --url are needed, and --url must be https")
    return options


def place_node_scripts():
    """Node looks for packages beside the script. Another run may be reading them."""
    NODE.mkdir(parents=True, exist_ok=True)
    for script in (HERE / "programs").glob("node_*"):
        placed, text = NODE / script.name, script.read_bytes()
        if not placed.exists() or placed.read_bytes() != text:
            draft = NODE / f".{script.name}.{os.getpid()}"
            draft.write_bytes(text)
            draft.replace(placed)


def main():
    options = arguments()
    if options.list:
        print(json.dumps({client.name: "quick" if client.quick else "all" for client in CLIENTS}, indent=2))
        return 0
    only = options.only.split(",") if options.only else None
    chosen = [client for client in CLIENTS if (client.name in only if only else options.tier == "all" or client.quick)]
    without = options.without.split(",") if options.without else []
    if unknown := {*(only or []), *without} - {client.name for client in CLIENTS}:
        sys.exit(f"run.py: there is no client {', '.join(sorted(unknown))}")
    chosen = [client for client in chosen if client.name not in without]
    place_node_scripts()
    env = environment(options)
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda client: attempt(client, options, env), chosen))
    rows = [{"client": client.name, "result": result, "seconds": round(spent, 2), "note": note}
            for client, (result, spent, note) in zip(chosen, results)]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print(f"{row['client']:<20} {row['result']:<8} {row['seconds']:>6.2f} s  {row['note']}")
        count = lambda result: sum(row["result"] == result for row in rows)
        print(f"{count('ok')} ok, {count('FAIL')} failed, {count('absent')} absent, {count('skipped')} skipped")
    return 1 if any(row["result"] == "FAIL" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
