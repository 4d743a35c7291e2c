#!/bin/bash
# Upstream starts node with RunnerService.js here; this does in one shell what those two do:
# forward a stop as SIGINT, end with the listener's final exit codes, relaunch after the others.

stopping=
listener=
trap 'stopping=1; [ -n "$listener" ] && kill -INT "$listener" 2>/dev/null' TERM INT

cd "$(dirname "$0")" || exit 1
if [ -f .path ]; then
    PATH=$(cat .path)
    export PATH
    echo ".path=$PATH"
fi

echo "Starting Runner listener with startup type: service"
while [ -z "$stopping" ]; do
    exec 3> >(exec cat)
    reader=$!
    "$PWD/bin/Runner.Listener" run --startuptype service >&3 2>&3 3>&- &
    listener=$!
    exec 3>&-
    echo "Started listener process, pid: $listener"
    wait "$listener"
    code=$?
    # `wait` also returns when a trapped signal arrives: then the listener is still ending.
    while kill -0 "$listener" 2>/dev/null; do
        wait "$listener"
        code=$?
    done
    # As node does: an exit counts once the output is closed, and a leaked child can hold it open.
    while [ -z "$stopping" ] && kill -0 "$reader" 2>/dev/null; do
        wait "$reader"
    done
    echo "Runner listener exited with error code $code"
    case $code in
        0 | 1 | 5) break ;;
    esac
    [ -n "$stopping" ] && break
    echo "Runner listener exit with undefined return code, re-launch runner in 5 seconds."
    sleep 5 &
    wait $!
done
exit 0
