#!/bin/bash
# How people start a runner by hand: no service. Every turn begins with a fresh copy of run-helper.sh, and another turn
# follows only where that ends with 2.
dir=$(cd -P "$(dirname "$0")" && pwd)
while :; do
    cp -f "$dir/run-helper.sh.template" "$dir/run-helper.sh"
    "$dir/run-helper.sh" "$@"
    code=$?
    [ "$code" = 2 ] || exit "$code"
    echo 'Restarting runner...'
done
