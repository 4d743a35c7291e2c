#!/bin/sh
# usage: release.sh deploy|verify|undo|return [VERSION]
# Each release is a directory; `current` is switched last, so that a half-made release never serves.
set -eu
root=${WIDGETS_ROOT:-/srv/widgets}
version=${2:-${GITHUB_SHA:-}}
case ${1:?what to do} in
deploy | return)
    mkdir -p "$root/releases/$version"
    ln -sfn "$root/releases/$version" "$root/current.new"
    readlink "$root/current" >"$root/previous" || :
    mv -T "$root/current.new" "$root/current"
    ;;
verify) test "$(readlink "$root/current")" = "$root/releases/$version" ;;
undo)
    ln -sfn "$(cat "$root/previous")" "$root/current.new"
    mv -T "$root/current.new" "$root/current"
    ;;
*) exit 64 ;;
esac
