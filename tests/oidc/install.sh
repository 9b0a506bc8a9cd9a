#!/bin/sh
# Installs the authorization server that the tests of log-ins start, in the versions of the list beside this file, in
# target/test-oidc. A copy of the list says what is there, so that a second run takes no time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/test-oidc

cmp -s "$here/package-lock.json" "$target/installed-lock.json" && exit 0
echo "installing tests/oidc/package.json"
mkdir -p "$target"
cp "$here/package.json" "$here/package-lock.json" "$target"
(cd "$target" && npm ci --silent --no-audit --no-fund --ignore-scripts)
cp "$here/package-lock.json" "$target/installed-lock.json"
