#!/usr/bin/env bash
# with_engine.sh COMMAND...: COMMAND where a container engine and compose are. Those of this machine; else Debian's
# dockerd, started here and ended afterwards, and Debian's compose. The bases of debian_bases.sh are there.
# Exit 69 with the reason in one line: no engine can run here. Else that of COMMAND.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kept=${LASTMETRE_ENGINE_CACHE:-/var/cache/lastmetre}
ready_within=${LASTMETRE_ENGINE_READY_SECONDS:-90}
folder=$(mktemp -d)
daemon=
command=

impossible() { # why
    echo "No container engine can run here: $1" >&2
    exit 69
}

end() {
    trap - EXIT INT TERM
    [ -z "$command" ] || kill "$command" 2>/dev/null || true
    if [ -n "$daemon" ]; then
        # What is left would be started again with the next daemon of this folder.
        timeout 30 docker ps --all --quiet 2>/dev/null | timeout 60 xargs --no-run-if-empty docker rm --force >/dev/null 2>&1 || true
        kill "$daemon" 2>/dev/null || true
        timeout 30 tail --pid="$daemon" --follow /dev/null || kill -KILL "$daemon" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 143' INT TERM

begin_daemon() {
    [ "$(id -u)" = 0 ] || impossible "none runs (docker info), and only root can start one"
    command -v dockerd >/dev/null || impossible "none runs (docker info), and there is no dockerd (Debian: docker.io)"
    mkdir -p "$kept/engine"
    # Two daemons must not have one folder.
    exec 9>"$kept/lock"
    flock --nonblock 9 || { echo "another one has $kept: this one waits" >&2; flock 9; }
    export DOCKER_HOST="unix://$folder/docker.sock"
    # Not in the group of this script, which ends it in order; with it, if it is killed.
    setsid setpriv --pdeathsig TERM dockerd --host "$DOCKER_HOST" --data-root "$kept/engine" \
        --exec-root "$folder/exec" --pidfile "$folder/pid" >"$folder/log" 2>&1 </dev/null 9>&- &
    daemon=$!
    for ((second = 0; second < ready_within; second++)); do
        if ! kill -0 "$daemon" 2>/dev/null; then
            daemon=
            impossible "dockerd ended: $(grep -v '^[[:space:]]*$' "$folder/log" | tail -n 1)"
        fi
        if timeout 10 docker info >/dev/null 2>&1; then
            # What former builds have left, or be it needed again.
            docker image prune --force --filter until=168h >/dev/null
            return
        fi
        sleep 1
    done
    impossible "dockerd was not ready within $ready_within s: $(tail -n 1 "$folder/log")"
}

# Docker finds its plugin compose in this folder; Debian 12 has none that knows these files, Debian 13 has.
provide_compose() {
    local plugin=$kept/compose/usr/libexec/docker/cli-plugins/docker-compose
    local apt=(-o "Dir::Etc::SourceList=$folder/debian.sources" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/packages" -o APT::Sandbox::User=root)
    if [ ! -x "$plugin" ]; then
        command -v apt-get >/dev/null || impossible "docker compose 2.24 or later is not here, and neither is apt-get"
        mkdir -p "$folder/lists/partial" "$folder/packages/archives/partial" "$kept"
        printf '%s\n' 'Types: deb' 'URIs: http://deb.debian.org/debian' 'Suites: trixie' 'Components: main' \
            'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >"$folder/debian.sources"
        apt-get "${apt[@]}" update -qq
        (cd "$folder" && apt-get "${apt[@]}" download -qq docker-compose)
        dpkg-deb --extract "$folder"/docker-compose_*.deb "$folder/compose"
        rm -rf "$kept/compose"
        mv "$folder/compose" "$kept/compose"
    fi
    export DOCKER_CONFIG=$folder/config
    mkdir -p "$DOCKER_CONFIG/cli-plugins"
    ln -s "$plugin" "$DOCKER_CONFIG/cli-plugins/docker-compose"
}

command -v docker >/dev/null || impossible "there is no command docker (Debian: docker.io; from 13 on docker-cli as well)"
timeout 10 docker info >/dev/null 2>&1 || begin_daemon
case $(docker compose version --short 2>/dev/null || true) in
    2.2[4-9]* | 2.[3-9][0-9]* | [3-9].* | v2.2[4-9]* | v2.[3-9][0-9]* | v[3-9].*) ;;
    *) provide_compose ;;
esac
"$here/debian_bases.sh"
said=$(timeout 60 docker run --rm --network none lastmetre-base:run true 2>&1) || impossible "a container does not start: $(tail -n 1 <<<"$said")"
# In the background, so that a signal is not waited for.
"$@" 9>&- &
command=$!
status=0
wait "$command" || status=$?
command=
exit "$status"
