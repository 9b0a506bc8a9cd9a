#!/bin/sh
# Prepares the home, then becomes the proxy, or the `nexus` command that is given. Each start takes the mounted configuration and
# puts the bundle where the callers' containers read it; secrets are made at the first start and stay in the volume.
# SANDBOX_CONFIG and SANDBOX_BUNDLE are for the sandbox without containers, where the mounts lie elsewhere.
set -eu
config=${SANDBOX_CONFIG:-/etc/nexus/nexus.toml}
bundle=${SANDBOX_BUNDLE:-/bundle}
nexus init >&2
install -m 0600 "$config" "$NEXUS_HOME/nexus.toml"
install -m 0644 "$NEXUS_HOME/ca-bundle.pem" "$bundle/ca-bundle.pem.new"
mv "$bundle/ca-bundle.pem.new" "$bundle/ca-bundle.pem"
[ $# -gt 0 ] || set -- up
exec nexus "$@"
