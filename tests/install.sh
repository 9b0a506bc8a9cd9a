#!/bin/sh
# Installs what the tests need: Debian packages (tests/apt.txt), Python packages (tests/requirements.txt, in target/test-venv)
# the clients of tests/clients, the authorization server of tests/oidc, the browser's driver of tests/page and the JarvisCore of tests/jarviscore. The lists are compared with those of the last run, so that a second run takes no time.
#     install.sh [quick|all]
set -eu
tier=${1:-quick}
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
"$root/tests/apt.sh" "$root/tests/apt.txt"
if [ "$tier" = all ]; then
    PATH=$PATH:/usr/sbin
    started=""
    for daemon in squid tinyproxy; do
        command -v "$daemon" >/dev/null || started="$started $daemon"
    done
    "$root/tests/apt.sh" "$root/tests/apt-all.txt"
    # Debian starts what it installs; the tests start their own.
    if [ -n "$started" ] && [ -d /run/systemd/system ]; then
        # shellcheck disable=SC2086
        $([ "$(id -u)" = 0 ] || echo sudo) systemctl disable --now $started
    fi
fi

lists=$(cat "$root/tests/apt.txt" "$root/tests/requirements.txt" "$root/tests/clients/install.sh" \
    "$root/tests/clients/programs/go_net_http.go" "$root/tests/oidc/package-lock.json" "$root/tests/page/package-lock.json" \
    "$root/tests/jarviscore/install.sh" "$root/tests/jarviscore/requirements.txt" | sha256sum)
stamp=$target/test-clients.$tier
if [ -x "$target/test-venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$lists" ]; then
    exit 0
fi
mkdir -p "$target"
[ -x "$target/test-venv/bin/python" ] || python3 -m venv "$target/test-venv"
"$target/test-venv/bin/python" -m pip install -q --disable-pip-version-check -r "$root/tests/requirements.txt"
"$root/tests/clients/install.sh" "$tier"
"$root/tests/npm.sh" oidc page
"$root/tests/jarviscore/install.sh"
echo "$lists" >"$stamp"
