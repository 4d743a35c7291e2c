#!/bin/sh
# The lab's rollback, as far as it can be tried: whether it has what it would need.
[ "$1" = --dry-run ] || { echo 'only --dry-run, in this lab' >&2; exit 64; }
[ -r /etc/widgets/deploy.conf ] || { echo 'no /etc/widgets/deploy.conf: where to?' >&2; exit 1; }
. /etc/widgets/deploy.conf
echo "would return $TARGET to the release before"
