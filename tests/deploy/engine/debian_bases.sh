#!/bin/sh
# Base images of Debian's own packages, for machines that can pull none: lastmetre-base:run, and with
# venv, pip and this machine's certificate authorities lastmetre-base:build. Root, mmdebstrap, docker.
set -eu
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
cp -L /etc/ssl/certs/ca-certificates.crt "$folder"
printf 'FROM lastmetre-base:plain-build\nCOPY ca-certificates.crt /etc/ssl/certs/\n' >"$folder/Dockerfile"
rm "$folder/base.tar"
docker build --quiet --tag lastmetre-base:build "$folder"
