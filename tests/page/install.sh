#!/bin/sh
# Installs what drives a browser for the tests of the page, in the versions of the list beside this file, in
# target/test-page. A copy of the list says what is there, so that a second run takes no time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/test-page

cmp -s "$here/package-lock.json" "$target/installed-lock.json" && exit 0
echo "installing tests/page/package.json"
mkdir -p "$target"
cp "$here/package.json" "$here/package-lock.json" "$target"
(cd "$target" && npm ci --silent --no-audit --no-fund --ignore-scripts)
cp "$here/package-lock.json" "$target/installed-lock.json"
