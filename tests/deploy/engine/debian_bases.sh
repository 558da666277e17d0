#!/bin/sh
# Base images of Debian's own packages, for machines that can pull none: lastmetre-base:run, and with
# venv, pip and this machine's certificate authorities lastmetre-base:build. Root, mmdebstrap, docker.
# Those that this same script has made are kept.
set -eu
authorities=/etc/ssl/certs/ca-certificates.crt
made_of=$(cat "$0" "$authorities" | sha256sum | cut -d ' ' -f 1)
made=$(docker image inspect --format '{{index .Config.Labels "made-of"}}' lastmetre-base:build 2>/dev/null || true)
[ "$made" != "$made_of" ] || exit 0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

make_base() { # tag, further packages
    mmdebstrap --quiet --variant=essential \
        --include="python3,libstdc++6,ca-certificates,tzdata$2" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$folder/base.tar"
    docker import "$folder/base.tar" "$1"
}

make_base lastmetre-base:run ""
make_base lastmetre-base:plain-build ",python3-venv"
cp -L "$authorities" "$folder"
printf 'FROM lastmetre-base:plain-build\nCOPY ca-certificates.crt /etc/ssl/certs/\n' >"$folder/Dockerfile"
rm "$folder/base.tar"
docker build --quiet --label "made-of=$made_of" --tag lastmetre-base:build "$folder"
