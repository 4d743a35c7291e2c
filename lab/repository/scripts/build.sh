#!/bin/sh
# Makes dist/release.tar.gz of this commit, and its digest: what a deploy takes, and what a rollback returns to.
# The same commit gives the same files.
set -eu
version=${GITHUB_SHA:?which commit? GITHUB_SHA is not set}
rm -rf dist
mkdir -p dist/site
for file in site/*; do sed "s/@VERSION@/$version/g" "$file" >"dist/site/${file##*/}"; done
tar -cf dist/release.tar -C dist/site .
gzip -9 -n dist/release.tar
rm -r dist/site
cd dist
sha256sum release.tar.gz >release.tar.gz.sha256
