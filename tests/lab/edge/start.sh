#!/bin/sh
set -eu
[ -f /certs/shop.crt ] || sh /etc/nginx/lab/make-cert.sh valid
# At its usual place, so that a plain `nginx -t` or `nginx -s reload` is about this file.
ln -sf /etc/nginx/lab/nginx.conf /etc/nginx/nginx.conf
exec nginx -g 'daemon off;'
