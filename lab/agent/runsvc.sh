#!/bin/bash
# The unit's main process, shaped as upstream's: a stop comes as SIGTERM and goes on as SIGINT; `.path` becomes PATH.

trap 'kill -INT "$service" 2>/dev/null' TERM INT

cd "$(dirname "$0")" || exit 1
if [ -f .path ]; then
    PATH=$(cat .path)
    export PATH
    echo ".path=$PATH"
fi

nodever="node20"
"./externals/$nodever/bin/node" ./bin/RunnerService.js &
service=$!
wait "$service"
trap - TERM INT
# The first wait ends when the trap runs; the second waits for the end, and its code is ours.
wait "$service"
