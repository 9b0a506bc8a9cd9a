#!/bin/sh
# Starts Nexus as the bench lab wants it: one provider for one host and port, one API key, the config as shipped besides.
#
#   nexus.sh BINARY FOLDER PORT ORIGIN_CA SECRET HOST ORIGIN_PORT
#
# SECRET is the whole header value; the CA that callers trust is FOLDER/home/ca.pem.
set -eu
binary=$1 folder=$2 port=$3 origin_ca=$4 secret=$5 host=$6 origin_port=$7
export NEXUS_HOME="$folder/home" NEXUS_SECRET="bench-lab-secret"
if [ ! -f "$NEXUS_HOME/ca.pem" ]; then
    "$binary" init >/dev/null 2>&1
    cat >"$NEXUS_HOME/providers/bench.toml" <<TOML
name = "bench"
title = "Bench"
category = "test"
slots = ["authorization"]

[[inject]]
hosts = ["$host"]
port = $origin_port
strategy = { header = { name = "authorization", value = "{api_key}" } }
TOML
    printf '[proxy]\nlisten = ["127.0.0.1:%s"]\n[upstream]\nextra_roots = ["%s"]\nallow_private = ["127.0.0.0/8"]\n' "$port" "$origin_ca" >"$NEXUS_HOME/nexus.toml"
    printf 'api_key=%s\n' "$secret" | "$binary" register bench --stdin >/dev/null 2>&1
fi
exec "$binary" up
