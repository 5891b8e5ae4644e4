#!/bin/sh
# Creates the cluster, the roles and the database on first start, then serves.
set -eu
PATH=/usr/lib/postgresql/15/bin:$PATH

if [ ! -f "$PGDATA/PG_VERSION" ]; then
  # Made beside its place and moved at the end: an interrupted first start leaves
  # nothing that looks finished.
  new=$PGDATA.new
  rm -rf "$new"
  initdb --pgdata="$new" --username=postgres --auth-local=trust --auth-host=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 --data-checksums >/dev/null
  echo 'host all all all scram-sha-256' >>"$new/pg_hba.conf"
  # Not on TCP yet: a health check must not see a server that is about to stop.
  pg_ctl --pgdata="$new" --wait --silent --options="-c listen_addresses=''" start
  psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 -U postgres <<SQL
CREATE ROLE shop LOGIN PASSWORD '$POSTGRES_PASSWORD';
CREATE ROLE monitor LOGIN PASSWORD '$MONITOR_PASSWORD' IN ROLE pg_monitor, pg_read_all_data;
CREATE DATABASE shop OWNER shop;
SQL
  pg_ctl --pgdata="$new" --wait --silent --mode=fast stop
  mv "$new" "$PGDATA"
fi

exec postgres -c listen_addresses='*' -c max_connections=30 -c shared_buffers=32MB \
  -c log_line_prefix='%m [%p] %q%u@%d ' -c log_min_duration_statement=1000 \
  -c log_connections=off -c timezone=UTC -c log_timezone=UTC
