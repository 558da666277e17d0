#!/bin/sh
# The base backup of all four databases at one moment; `lastmetre backup finish` verifies it.
set -eu
PGPASSWORD=$(cat /run/lastmetre/superuser/password)
export PGPASSWORD
exec pg_basebackup --host postgresql --username postgres --pgdata /backups/begun/postgresql \
    --wal-method stream --checkpoint fast --manifest-checksums SHA256
