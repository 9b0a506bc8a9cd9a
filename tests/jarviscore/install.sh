#!/bin/sh
# Installs the versions of JarvisCore that the tests drive, unmodified, in target/test-jarviscore: each in a folder of its own, what they
# import in venv. A copy of the lists says what is there, so that a second run takes no time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/test-jarviscore
versions="1.3.0 3.0.0"

lists=$(cat "$here/install.sh" "$here/requirements.txt" | sha256sum)
[ "$(cat "$target/installed" 2>/dev/null)" = "$lists" ] && exit 0
echo "installing tests/jarviscore/requirements.txt"
mkdir -p "$target"
[ -x "$target/venv/bin/python" ] || python3 -m venv "$target/venv"
pip="$target/venv/bin/python -m pip install -q --disable-pip-version-check --no-deps"
$pip -r "$here/requirements.txt"
for version in $versions; do
    rm -rf "${target:?}/$version"
    $pip --target "$target/$version" "jarviscore-framework==$version"
done
echo "$lists" >"$target/installed"
