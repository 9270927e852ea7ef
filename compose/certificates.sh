#!/bin/sh
# For docker-compose.yml: a CA of its own, and a certificate each for the gateway and for Envoy, in the folder $1.
# Made once; remove the volume to make new ones. In production take certificates from where yours come from.
set -eu
dir="$1"
[ -f "$dir/envoy.crt" ] && exit 0
mkdir -p "$dir"
cd "$dir"
umask 077
ec() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }
ec ca.key
openssl req -x509 -new -key ca.key -subj /CN=sallyport-compose -days 3650 \
  -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign -out ca.crt
for name in gateway envoy; do
  ec "$name.key"
  printf 'subjectAltName=DNS:%s\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n' "$name" >"$name.ext"
  openssl req -new -key "$name.key" -subj "/CN=$name" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -sha256 -extfile "$name.ext" -out "$name.crt" 2>/dev/null
  rm "$name.ext"
done
# Nobody signs with it again. The containers run as other users, so the rest must be readable in the volume.
rm -f ca.key ca.srl
chmod 755 . && chmod 644 ./*.crt ./*.key
