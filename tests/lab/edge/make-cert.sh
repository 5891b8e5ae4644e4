#!/bin/sh
# make-cert.sh valid|expired: a self-signed certificate for the edge.
set -eu
case $1 in
  valid) start=$(date -u -d '-1 day' +%Y%m%d%H%M%SZ) end=$(date -u -d '+90 days' +%Y%m%d%H%M%SZ) ;;
  expired) start=$(date -u -d '-92 days' +%Y%m%d%H%M%SZ) end=$(date -u -d '-2 days' +%Y%m%d%H%M%SZ) ;;
  *) exit 2 ;;
esac
work=$(mktemp -d)
cd "$work"
# `openssl x509` cannot date a certificate into the past; `openssl ca` can.
cat >ca.conf <<CONF
[ca]
default_ca = lab
[lab]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
CONF
: >index.txt
date -u +%Y%m%d%H%M%S >serial
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
  -subj /CN=shop.example -keyout shop.key -out shop.csr 2>/dev/null
openssl ca -batch -notext -selfsign -config ca.conf -keyfile shop.key -in shop.csr \
  -startdate "$start" -enddate "$end" -out shop.crt 2>/dev/null
mv shop.key shop.crt /certs/
rm -rf "$work"
