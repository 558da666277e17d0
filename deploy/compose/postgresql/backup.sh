#!/bin/sh
# A base backup of all four databases at one moment, checked; those older than thirty days go.
set -eu
PGPASSWORD=$(cat /run/lastmetre/superuser/password)
export PGPASSWORD
name=$(date -u +%Y-%m-%dT%H%M%SZ)
pg_basebackup --host postgresql --username postgres --pgdata "/backups/base/.$name" \
    --wal-method stream --checkpoint fast
pg_verifybackup --quiet "/backups/base/.$name"
mv "/backups/base/.$name" "/backups/base/$name"
find /backups/base -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -r {} +
oldest=$(find /backups/base -mindepth 1 -maxdepth 1 -name '2*' | sort | head -n 1)
pg_archivecleanup /backups/log "$(awk '/START WAL LOCATION/ { gsub("[)]", "", $6); print $6 }' "$oldest/backup_label")"
echo "$name"
