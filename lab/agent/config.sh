#!/bin/bash
# config.sh                    .env, .path and svc.sh, for a registration that is here; the lab makes registrations itself
# config.sh remove [--local]   takes the registration away from this directory
if [ "$(id -u)" = 0 ] && [ -z "$RUNNER_ALLOW_RUNASROOT" ]; then
    echo 'Must not run with sudo' >&2
    exit 1
fi
cd "$(dirname "$0")" || exit 1
if [ "$1" = remove ]; then
    if [ -e .service ]; then
        echo 'Uninstall service first' >&2
        exit 1
    fi
    rm -f .runner .credentials .credentials_rsaparams svc.sh
    echo 'Removed .runner, .credentials and .credentials_rsaparams'
    exit 0
fi
if [ ! -e .runner ]; then
    echo 'This lab registers its runners: python -m lab reset HOST makes this one as new' >&2
    exit 1
fi
if [ -e svc.sh ]; then
    echo "Cannot configure the runner because it is already configured. To reconfigure the runner, run './config.sh remove' first." >&2
    exit 1
fi
. ./env.sh
# https://github.com/OWNER/NAME is OWNER-NAME in the name of the unit, and the runner's own name stays as it is
said() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" .runner; }
place=$(said gitHubUrl)
place=${place#*://*/}
description="$(printf %s "$place" | tr -c '0-9A-Za-z._-' -).$(said agentName)"
sed -e "s/{description}/$description/g" -e "s/{unit}/actions.runner.${description// /_}.service/g" bin/systemd.svc.sh.template >svc.sh
chmod 755 svc.sh
