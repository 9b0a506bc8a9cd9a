#!/usr/bin/env bash
# The sandbox of docker-compose.yml without Docker: a program whose only way out is Nexus.
#
#     run-in-namespaces.sh [--nexus PATH] [COMMAND…]
#
# Three network namespaces:   agent 10.77.1.2 --- 10.77.1.1 nexus 10.77.2.1 --- 10.77.2.2 world (a pretend GitHub)
# The agent has one cable, no route beyond it, an address with a token, and one file of certificates. Without a COMMAND it
# proves that the sandbox holds, step by step; the exit code is 0 only if it does. A COMMAND runs in the agent's place.
# Needs Linux, iproute2, util-linux, curl, openssl and python3; not root where user namespaces are allowed.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
nexus=${CARGO_TARGET_DIR:-$root/target}/debug/nexus
if [ "${1:-}" = --nexus ]; then
    nexus=$(realpath "$2")
    shift 2
fi

# Everything happens in namespaces of our own, so that nothing is left behind when this process ends.
if [ "${NEXUS_SANDBOX_STAGE:-}" != inside ]; then
    map=()
    [ "$(id -u)" = 0 ] || map=(--map-root-user)
    exec env NEXUS_SANDBOX_STAGE=inside unshare "${map[@]}" --net --mount --pid --fork --kill-child --mount-proc \
        "$0" --nexus "$nexus" "$@"
fi
unset NEXUS_SANDBOX_STAGE
umask 077
work=$(mktemp -d)
certificates=$(mktemp -d "$root/certs/sandbox-XXXXXX")
trap 'rm -rf "$work" "$certificates"' EXIT
export NEXUS_HOME=$work/home

wire() {
    mount -t tmpfs tmpfs /run
    for name in agent nexus world; do
        ip netns add "$name"
        ip -n "$name" link set lo up
    done
    ip link add agent0 netns agent type veth peer name nexus0 netns nexus
    ip link add world0 netns world type veth peer name nexus1 netns nexus
    ip -n agent addr add 10.77.1.2/24 dev agent0
    ip -n nexus addr add 10.77.1.1/24 dev nexus0
    ip -n nexus addr add 10.77.2.1/24 dev nexus1
    ip -n world addr add 10.77.2.2/24 dev world0
    ip -n agent link set agent0 up
    ip -n nexus link set nexus0 up
    ip -n nexus link set nexus1 up
    ip -n world link set world0 up
}

# Starts a server and waits for its first line, `listening …`.
start() {
    local line
    exec {output}< <("$@" 2>>"$work/errors")
    read -r line <&"$output" || true
    [[ $line == listening* ]] || {
        echo "did not start: $*" >&2
        cat "$work/errors" >&2
        exit 1
    }
}

start_world() {
    "$root/examples/demo/certificates.sh" "$certificates" api.github.com
    access=gho_$(openssl rand -hex 18)
    export SERVICE_ACCESS_TOKEN=$access SERVICE_REFRESH_TOKEN=none SERVICE_CLIENT_ID=none SERVICE_CLIENT_SECRET=none
    start ip netns exec world python3 "$root/examples/demo/service.py" --certificate "$certificates/cert.pem" \
        --key "$certificates/key.pem" --log "$work/seen.jsonl" --listen 10.77.2.2:443
    unset SERVICE_ACCESS_TOKEN SERVICE_REFRESH_TOKEN SERVICE_CLIENT_ID SERVICE_CLIENT_SECRET
}

start_nexus() {
    "$nexus" init >/dev/null 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
    # Beyond loopback: every caller must be known, and what no rule names is refused.
    cat >"$NEXUS_HOME/nexus.toml" <<CONFIG
[proxy]
listen    = ["10.77.1.1:8091"]
unmatched = "refuse"
[policy]
default = "deny"
[upstream]
extra_roots = ["$certificates/ca.pem"]
resolve     = { "api.github.com" = "10.77.2.2:443" }
CONFIG
    echo "access_token=$access" | "$nexus" register github --stdin >/dev/null 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
    token=$("$nexus" agent add sandbox --provider github --json 2>>"$work/errors" | python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')
    start ip netns exec nexus "$nexus" up --announce
    # What the sandbox is given: variables, and one folder with the bundle.
    mkdir "$work/bundle" "$work/agent"
    bundle=$work/bundle/ca-bundle.pem
    cp "$NEXUS_HOME/ca-bundle.pem" "$bundle"
}

# Runs a command as the agent: its own network, an environment of its own, the home and the certificates out of sight.
agent() {
    ip netns exec agent unshare --mount bash -c '
        mount -t tmpfs tmpfs "$1"
        mount -t tmpfs tmpfs "$2"
        cd "$3"
        shift 3
        exec "$@"' agent "$NEXUS_HOME" "$certificates" "$work/agent" \
        env -i PATH="$PATH" HOME="$work/agent" TMPDIR="$work/agent" \
        HTTPS_PROXY="http://sandbox:$token@10.77.1.1:8091" SSL_CERT_FILE="$bundle" REQUESTS_CA_BUNDLE="$bundle" \
        NODE_EXTRA_CA_CERTS="$bundle" "$@"
}

check() {
    local text=$1
    shift
    if "$@"; then
        echo "  ✓ $text"
    else
        echo "  ✗ $text" >&2
        cat "$work/errors" >&2
        exit 1
    fi
}

fails() { ! "$@" >/dev/null 2>&1; }
prints() {
    local wanted=$1
    shift
    [[ $("$@" 2>&1) == *"$wanted"* ]]
}

wire
start_world
start_nexus
if [ $# -gt 0 ]; then
    agent "$@"
    exit
fi
url=https://api.github.com/user
around=(curl -sS --max-time 5 --noproxy '*' --resolve "api.github.com:443:10.77.2.2")
echo "A sandbox whose only way out is Nexus:"
check "the pretend GitHub is up and wants a credential" prints 401 ip netns exec world \
    "${around[@]}" -o /dev/null -w '%{http_code}' --cacert "$certificates/ca.pem" "$url"
check "the agent cannot reach it directly" fails agent "${around[@]}" -k "$url"
check "nor any other address" fails agent curl -sS --max-time 5 --noproxy '*' http://192.0.2.1/
check "nor resolve a name" fails agent python3 -c 'import socket; socket.getaddrinfo("api.github.com", 443)'
check "through Nexus it is octo, and holds no credential" prints '"login": "octo"' agent curl -sS --max-time 20 "$url"
check "Nexus put the credential on" grep -q "\"path\": \"/user\", \"authorization\": \"Bearer gho_…${access: -4}\", \"status\": 200" "$work/seen.jsonl"
check "another host is refused" prints 'urn:nexus:refusal:policy' agent curl -sS --max-time 20 https://example.com/
check "without its token the agent is nobody" prints 407 agent curl -sS --max-time 20 --proxy http://10.77.1.1:8091 "$url"
check "Nexus's home is out of its sight" fails agent cat "$NEXUS_HOME/nexus.enc"
echo "The sandbox holds."
