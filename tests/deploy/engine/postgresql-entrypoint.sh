#!/bin/sh
# As the image postgres begins: as root give the folder to its user, initdb once, then run as that user.
set -eu
export PGDATA=/var/lib/postgresql/18/docker
as_postgres="setpriv --reuid 999 --regid 999 --clear-groups"
mkdir -p "$PGDATA"
chown -R 999:999 /var/lib/postgresql
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=/dev/shm/password
    cp "$POSTGRES_PASSWORD_FILE" "$password"
    chown 999:999 "$password"
    # shellcheck disable=SC2086 - several words
    $as_postgres initdb --username postgres --pwfile "$password" ${POSTGRES_INITDB_ARGS:-}
    rm "$password"
fi
# shellcheck disable=SC2086 - several words
exec $as_postgres "$@"
