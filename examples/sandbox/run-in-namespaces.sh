#!/usr/bin/env bash
# The sandbox of docker-compose.yml without Docker: a program whose only way out is Nexus.
#
#     run-in-namespaces.sh [--nexus PATH] [COMMAND…]
#
# Three network namespaces:   agent 10.77.1.2 --- 10.77.1.1 nexus 10.77.2.1 --- 10.77.2.2 world (a pretend GitHub)
# The agent has one cable, no route beyond it, and what docker-compose.yml gives it: compose.py reads its variables, its command
# and its mounts there, and Nexus is started by the image's own start.sh with the mounted nexus.toml. Without a COMMAND it proves
# that the sandbox holds, step by step; the exit code is 0 only if it does. A COMMAND runs in the agent's place.
# Needs Linux, iproute2, util-linux, curl, openssl and python3 with PyYAML; not root where user namespaces are allowed.
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
python=${CARGO_TARGET_DIR:-$root/target}/test-venv/bin/python
[ -x "$python" ] || python=python3

# What docker-compose.yml says of a service; without Docker the volumes are folders.
compose() { "$python" "$root/examples/sandbox/compose.py" "$work/volumes" "$@"; }

# The image of nexus: its paths, and the binary where its PATH has it.
mkdir -p "$work/volumes/home" "$work/volumes/bundle" "$work/bin"
ln -s "$nexus" "$work/bin/nexus"
NEXUS_HOME=$(compose nexus path /home-of-nexus)
SANDBOX_CONFIG=$(compose nexus path /etc/nexus/nexus.toml)
SANDBOX_BUNDLE=$(compose nexus path /bundle)
export NEXUS_HOME

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

# As `docker compose run nexus …`: the entry point of the image, with these arguments.
in_image() {
    ip netns exec nexus env PATH="$work/bin:$PATH" SANDBOX_CONFIG="$SANDBOX_CONFIG" SANDBOX_BUNDLE="$SANDBOX_BUNDLE" \
        NEXUS__UPSTREAM__EXTRA_ROOTS="[\"$certificates/ca.pem\"]" \
        NEXUS__UPSTREAM__RESOLVE='{ "api.github.com" = "10.77.2.2:443" }' "$root/examples/sandbox/start.sh" "$@"
}

start_nexus() {
    echo "access_token=$access" | in_image register github --stdin >/dev/null 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
    AGENT_TOKEN=$(in_image agent add sandbox --provider github --json 2>>"$work/errors" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')
    export AGENT_TOKEN
    mapfile -d '' -t health < <(compose nexus healthcheck)
    fails ip netns exec nexus "${health[@]}" || { echo "healthy before it is started" >&2; exit 1; }
    start in_image up --announce
    # What the container of the agent is given. Docker's name server knows `nexus`.
    mapfile -d '' -t variables < <(compose agent environment)
    mapfile -d '' -t command < <(compose agent command)
    printf '127.0.0.1 localhost\n10.77.1.1 nexus\n' >"$work/hosts"
    mkdir "$work/agent"
}

# Runs a command as the agent: its own network, an environment of its own, the home and the certificates out of sight.
agent() {
    ip netns exec agent unshare --mount bash -c '
        mount --bind "$1" /etc/hosts
        mount -t tmpfs tmpfs "$2"
        mount -t tmpfs tmpfs "$3"
        cd "$4"
        shift 4
        exec "$@"' agent "$work/hosts" "$NEXUS_HOME" "$certificates" "$work/agent" \
        env -i PATH="$PATH" HOME="$work/agent" TMPDIR="$work/agent" "${variables[@]}" "$@"
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
check "Nexus is healthy as docker-compose.yml has it checked" ip netns exec nexus "${health[@]}"
check "the agent cannot reach it directly" fails agent "${around[@]}" -k "$url"
check "nor any other address" fails agent curl -sS --max-time 5 --noproxy '*' http://192.0.2.1/
check "nor resolve a name" fails agent python3 -c 'import socket; socket.getaddrinfo("api.github.com", 443)'
check "through Nexus it is octo, and holds no credential" prints '"login": "octo"' agent curl -sS --max-time 20 "$url"
check "Nexus put the credential on" grep -q "\"path\": \"/user\", \"authorization\": \"Bearer gho_…${access: -4}\", \"status\": 200" "$work/seen.jsonl"
check "another host is refused" prints 'urn:nexus:refusal:policy' agent curl -sS --max-time 20 https://example.com/
check "without its token the agent is nobody" prints 407 agent curl -sS --max-time 20 --proxy http://nexus:8091 "$url"
check "the agent's own command works" prints 'urllib: I am octo' agent "${command[@]}"
check "Nexus's home is out of its sight" fails agent cat "$NEXUS_HOME/nexus.enc"
echo "The sandbox holds."
