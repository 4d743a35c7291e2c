#!/bin/bash
# SECONDS: waits so long, also where no program can do it.
if command -v sleep >/dev/null; then
    exec sleep "$1"
fi
end=$((SECONDS + $1))
while [ "$SECONDS" -lt "$end" ]; do :; done
