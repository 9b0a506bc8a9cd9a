#!/bin/sh
# Makes a throw-away certificate authority and a certificate for the names and addresses given:
#     certificates.sh FOLDER api.github.com github.com 127.0.0.1
# Leaves ca.pem, cert.pem and key.pem in FOLDER. The authority's key is deleted at once.
set -eu
folder=$1
shift
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
names=""
for name in "$@"; do
    case $name in
    *[!0-9.]*) names="$names,DNS:$name" ;;
    *) names="$names,IP:$name" ;;
    esac
done
printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=%s\n' "${names#,}" >leaf.ext
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=Throw-away service CA" \
        -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout key.pem -out leaf.csr
    openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -set_serial 2 -days 2 -extfile leaf.ext -out cert.pem
} 2>openssl.log || {
    cat openssl.log >&2
    exit 1
}
rm -f ca.key leaf.csr leaf.ext openssl.log
