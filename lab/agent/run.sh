#!/bin/bash
# How people start a runner by hand: no service, relaunched only after a retryable end, as upstream's run-helper.sh does.
dir=$(cd -P "$(dirname "$0")" && pwd)
cd "$dir" || exit 1
while :; do
    "$dir/bin/Runner.Listener" run "$@"
    case $? in
        2) sleep 5 ;;
        3 | 4) sleep 5 ;;
        *) exit 0 ;;
    esac
done
