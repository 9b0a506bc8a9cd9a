#!/bin/sh
# Installs the packages of tests/NAME/package.json, in the versions of the list beside it, in target/test-NAME. A copy of the list says what
# is there, so that a second run takes no time.
#     npm.sh NAME…
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
for name in "$@"; do
    here=$root/tests/$name
    target=${CARGO_TARGET_DIR:-$root/target}/test-$name
    cmp -s "$here/package-lock.json" "$target/installed-lock.json" && continue
    echo "installing tests/$name/package.json"
    mkdir -p "$target"
    cp "$here/package.json" "$here/package-lock.json" "$target"
    (cd "$target" && npm ci --silent --no-audit --no-fund --ignore-scripts)
    cp "$here/package-lock.json" "$target/installed-lock.json"
done
