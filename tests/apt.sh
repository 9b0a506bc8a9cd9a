#!/bin/sh
# Installs the Debian packages that the files name, one a line: `package`, or `package:command` where the command will do, from
# wherever it came. What is there already is left alone, so that a second run takes no time.
#     apt.sh FILE…
set -eu
missing=""
for line in $(sed 's/#.*//' "$@"); do
    package=${line%%:*}
    command=${line#*:}
    if [ "$command" != "$line" ] && command -v "$command" >/dev/null; then
        continue
    fi
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "apt.sh: please install:$missing" >&2
    exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
echo "installing:$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
