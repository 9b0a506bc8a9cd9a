#!/bin/sh
# Installs the SDKs that the table drives, in the versions of the lists beside this file: Python in target/test-sdk/venv, Node in
# target/test-sdk/node. A copy of each list says what is there, so that a second run takes no time.
#     install.sh [fast|all]
set -eu
tier=${1:-fast}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/test-sdk

case $tier in
fast) lists="requirements.txt" ;;
all) lists="requirements.txt requirements-all.txt" && "$root/tests/apt.sh" "$root/tests/apt.txt" ;;
*)
    echo "usage: install.sh [fast|all]" >&2
    exit 2
    ;;
esac

there() { cmp -s "$here/$1" "$target/installed/$1"; }
mkdir -p "$target/installed" "$target/node"

for list in $lists; do
    there "$list" && continue
    echo "installing tests/sdk/$list"
    [ -x "$target/venv/bin/python" ] || python3 -m venv "$target/venv"
    # The lists are whole: nothing comes that they don't name.
    "$target/venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$here/$list"
    "$target/venv/bin/python" -m pip check -q
    cp "$here/$list" "$target/installed"
done

if ! there package-lock.json; then
    echo "installing tests/sdk/package.json"
    cp "$here/package.json" "$here/package-lock.json" "$target/node"
    (cd "$target/node" && npm ci --silent --no-audit --no-fund --ignore-scripts)
    cp "$here/package-lock.json" "$target/installed"
fi
