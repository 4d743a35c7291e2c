#!/bin/sh
# A deploy that may be killed at any moment: a directory a release, a link to the one that serves, one lock.
#
#     release.sh deploy SHA    unpack the artifact beside what serves, switch, wait until it serves, else switch back
#     release.sh return SHA    the same with a release that the target still keeps
#     release.sh verify SHA    is that release whole, live and served?
#     release.sh undo [SHA]    take back what this run changed; nothing where it changed nothing
#     release.sh served        the version that answers
#     release.sh status        what is live, what was good, what is kept, who deploys
#
# It runs where the deploy job runs, and does its work on the target: it sends itself there over ssh, the artifact behind it.
#
# What to change, on the runner (`env:` of the job):
#     RELEASE_TARGET    the machine to deploy to, as ssh is asked for it; empty: this one
#     RELEASE_ARTIFACT  the archive (tar, tar.gz) of one release; its sha256 is RELEASE_DIGEST, or in ARTIFACT.sha256
#     DEPLOY_KEY        a private key for ssh, kept in an agent and never in a file; empty: the runner's own keys
# and on the target, in the file release.conf of the deploying user's home (or in the environment):
#     RELEASE_ROOT      where releases/, current and the lock are
#     RELEASE_SERVED    a command that prints the version that answers; it fails where none does
#     RELEASE_RESTART   a command that makes the service take the release that `current` points at; empty: it follows by itself
#     RELEASE_KEEP      how many releases stay, 5; the live one, the last good one and the one before it always do
#     RELEASE_HEALTHY   how many seconds a release may take until it serves, 30
#     RELEASE_PATIENCE  how many seconds to wait for another deploy's lock, 10
#     RELEASE_PAUSE     seconds of rest after each step, 0: for a rehearsal that is killed between the steps
#
# Under RELEASE_ROOT:
#     releases/SHA/           a release; whole once .complete is in it, which is written last
#     current, good, previous links: what serves, the last that was seen to serve, and the good one before it
#     changed                 which run made `current` what it is, so that `undo` takes back its own and no other's
#     deploy.lock             who deploys, since when, and its process; what a killed deploy leaves is no lock: see take_lock
#
# Exit codes: 64 usage, 65 the artifact is not the one that was built, 66 no such release, 69 it does not serve, 75 locked.
# Needs sh, coreutils, gzip, tar and flock, of GNU or busybox; ssh on the runner.
set -eu
export LC_ALL=C
umask 022

say() { echo "release: $*"; }
die() {
    code=$1
    shift
    echo "release: $*" >&2
    exit "$code"
}

# A boundary between two steps: all that came before is on the disk. A drill kills here.
step() {
    echo "step: $*"
    [ "${RELEASE_PAUSE:-0}" = 0 ] || sleep "$RELEASE_PAUSE" || :
}

# --- on the runner

quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

owner() {
    if [ -n "${GITHUB_RUN_ID:-}" ]; then
        echo "run $GITHUB_RUN_ID attempt ${GITHUB_RUN_ATTEMPT:-1} of ${GITHUB_REPOSITORY:-?}"
    else
        echo "$(id -un) on $(uname -n)"
    fi
}

digest_of() {
    if [ -n "${RELEASE_DIGEST:-}" ]; then
        echo "$RELEASE_DIGEST"
    elif [ -r "$1.sha256" ]; then
        head -c 64 "$1.sha256"
    else
        die 65 "the digest of $1 is not known: set RELEASE_DIGEST, or lay $1.sha256 beside it"
    fi
}

# The artifact, or nothing, on stdin; the script is an argument, so that one ssh carries all of it.
work_there() {
    if [ -z "${RELEASE_TARGET-production}" ]; then
        sh "$0" --here "$@"
    else
        order="sh -c $(quoted "$(cat "$0")") release.sh --here"
        for word in "$@"; do order="$order $(quoted "$word")"; done
        take_key
        ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ServerAliveInterval=10 "${RELEASE_TARGET-production}" "$order"
    fi
}

# An agent of our own, which forgets the key by itself where we are killed before we end it.
take_key() {
    [ -n "${DEPLOY_KEY:-}" ] || return 0
    eval "$(ssh-agent -s -t 900)" >/dev/null
    trap 'ssh-agent -k >/dev/null' EXIT
    printf '%s\n' "$DEPLOY_KEY" | ssh-add -q -
    unset DEPLOY_KEY
}

# --- on the target

settings() {
    # shellcheck source=/dev/null
    [ ! -r ./release.conf ] || . ./release.conf
    root=${RELEASE_ROOT:-/srv/widgets}
    lock=$root/deploy.lock
    mkdir -p "$root/releases" "$root/incoming"
}

# Replaces a file as a whole: a reader, and a kill, find the old text or the new one.
write() {
    printf '%s\n' "$2" >"$1.new"
    mv -f "$1.new" "$1"
}

# Makes the link point at a release: the rename is the switch, and there is no moment without a link.
point() {
    ln -sfn "releases/$2" "$root/$1.new" && mv -T "$root/$1.new" "$root/$1"
}

# The release that a link points at; nothing where there is none.
at() {
    to=$(readlink "$root/$1") || return 0
    echo "${to##*/}"
}

whole() { [ -n "$1" ] && [ -e "$root/releases/$1/.complete" ]; }

# The kernel frees the guard when the last process that has it is gone, however it went. So whoever gets it is alone, and
# a deploy.lock that still lies there was left by one that was killed.
take_lock() {
    command -v flock >/dev/null || die 69 "flock is not here: apt-get install util-linux"
    exec 9>>"$root/.guard"
    left=${RELEASE_PATIENCE:-10}
    until flock -n 9; do
        [ "$left" -gt 0 ] || die 75 "another deploy holds $lock: $(cat "$lock" 2>/dev/null || echo 'nobody named')"
        left=$((left - 1))
        sleep 1
    done
    [ ! -e "$lock" ] || say "a deploy was killed here, and left its lock: $(cat "$lock")"
    started=$(sed 's/.*) //' "/proc/$$/stat" | cut -d ' ' -f 20)
    write "$lock" "$1, since $(date -u +%Y-%m-%dT%H:%M:%SZ), process $$ $started $(readlink /proc/$$/ns/pid) $(cat /proc/sys/kernel/random/boot_id)"
    trap 'rm -f "$lock"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# The mark goes first: a release that is half removed is a half-made one.
remove() {
    rm -f "$1/.complete"
    rm -rf "$1"
}

kept() { [ "$1" = "$(at current)" ] || [ "$1" = "$(at good)" ] || [ "$1" = "$(at previous)" ]; }

clean() {
    rm -rf "$root"/incoming/* "$root"/*.new
    for it in "$root"/releases/*; do
        if [ -d "$it" ] && [ ! -e "$it/.complete" ] && ! kept "${it##*/}"; then
            say "removing half-made ${it##*/}"
            remove "$it"
        fi
    done
}

prune() {
    stay=${RELEASE_KEEP:-5}
    # Names of releases hold no blanks: see the end of this file. The mark's age is that of the last time it went live.
    # shellcheck disable=SC2012
    ls -1t "$root"/releases/*/.complete | tail -n "+$((stay + 1))" | while read -r mark; do
        it=${mark%/.complete}
        kept "${it##*/}" || remove "$it"
    done
}

# Until what answers is that version, or time is up. Where nothing is said to ask, the link is all there is to see.
serves() {
    [ -n "${RELEASE_SERVED:-}" ] || { [ "$(at current)" = "$1" ]; return; }
    left=${RELEASE_HEALTHY:-30}
    while :; do
        answer=$(timeout 5 sh -c "$RELEASE_SERVED" 2>&1 9>&- </dev/null) && [ "$answer" = "$1" ] && return 0
        [ "$left" -gt 0 ] || break
        left=$((left - 1))
        sleep 1
    done
    say "$1 does not serve: ${answer:-no answer}"
    return 1
}

# The service must not inherit the guard: it would keep the lock for as long as it lives.
restart() { [ -z "${RELEASE_RESTART:-}" ] || sh -c "$RELEASE_RESTART" 9>&- </dev/null; }

# Said with && throughout: who asks whether it worked has set -e not count in here.
switch() { point current "$1" && sync -f "$root" && step "switched to $1" && restart; }

unpack() {
    file=$root/incoming/$1
    cat >"$file"
    step "received"
    echo "$2  $file" | sha256sum -c - >/dev/null 2>&1 || die 65 "the artifact of $1 is not the one that was built: its sha256 is not $2"
    step "digest verified"
    [ "$1" != "$(at current)" ] || die 66 "$1 is live and not whole: deploy another release before it is made anew"
    [ ! -d "$root/releases/$1" ] || remove "$root/releases/$1"
    mkdir "$root/releases/$1"
    if gzip -t "$file" 2>/dev/null; then gzip -dc "$file"; else cat "$file"; fi | tar -xof - -C "$root/releases/$1"
    sync -f "$root"
    step "unpacked"
    : >"$root/releases/$1/.complete"
    rm -f "$file"
    step "complete"
}

go_live() {
    was=$(at good)
    if [ "$(at current)" = "$1" ] && [ "$was" = "$1" ]; then
        serves "$1" || die 69 "$1 was live already, and does not serve; nothing was changed"
        say "$1 is live already"
        return
    fi
    write "$root/changed" "$1 by $2"
    step "noted"
    if switch "$1" && serves "$1"; then
        step "serves"
        [ "$was" = "$1" ] || [ -z "$was" ] || point previous "$was"
        point good "$1"
        touch "$root/releases/$1/.complete"
        step "good"
        prune
        say "$1 is live"
        return
    fi
    back_to "$was"
    die 69 "$1 does not serve; live is $(at current)"
}

# To a release that was good; nowhere where there was none.
back_to() {
    if whole "$1"; then
        switch "$1"
        point good "$1"
        serves "$1" || die 69 "and $1, which was live before, does not serve either"
    else
        rm -f "$root/current"
        say "there is no good release to go back to"
    fi
}

undo() {
    live=$(at current)
    if [ "$live" != "$1" ] || [ "$(cat "$root/changed" 2>/dev/null || :)" != "$1 by $2" ]; then
        say "nothing to take back: live is ${live:-nothing}"
        return
    fi
    to=$(at good)
    [ "$to" != "$1" ] || to=$(at previous)
    whole "$to" || die 66 "there is no good release to go back to"
    back_to "$to"
    rm -f "$root/changed"
    say "took $1 back; live is $to"
}

here() {
    verb=$1 sha=$2 by=$3 digest=$4
    settings
    case $verb in
    served)
        sh -c "${RELEASE_SERVED:?there is no RELEASE_SERVED to ask}"
        return
        ;;
    status)
        for link in current good previous; do say "$link $(at "$link")"; done
        for it in "$root"/releases/*; do [ ! -d "$it" ] || say "keeps ${it##*/}$([ -e "$it/.complete" ] || echo ' (half-made)')"; done
        [ ! -e "$lock" ] || say "lock: $(cat "$lock")"
        return
        ;;
    verify)
        whole "$sha" || die 66 "there is no whole release $sha here"
        [ "$(at current)" = "$sha" ] || die 69 "live is $(at current), not $sha"
        serves "$sha" || exit 69
        say "$sha is whole, live and served"
        return
        ;;
    esac
    take_lock "$by"
    step "locked"
    clean
    step "clean"
    case $verb in
    deploy)
        whole "$sha" || unpack "$sha" "$digest"
        go_live "$sha" "$by"
        ;;
    return)
        whole "$sha" || die 66 "the release $sha is not here any more: deploy it again"
        go_live "$sha" "$by"
        ;;
    undo) undo "$sha" "$by" ;;
    esac
}

if [ "${1:-}" = --here ]; then
    here "$2" "$3" "$4" "$5"
    exit
fi
verb=${1:-}
sha=${2:-${GITHUB_SHA:-}}
case $sha in .* | -* | *[!A-Za-z0-9._-]*) die 64 "no release is called '$sha'" ;; esac
case $verb in
deploy)
    artifact=${RELEASE_ARTIFACT:-dist/release.tar.gz}
    [ -n "$sha" ] || die 64 "deploy what? release.sh deploy SHA"
    [ -r "$artifact" ] || die 66 "there is no artifact $artifact"
    digest=$(digest_of "$artifact")
    work_there deploy "$sha" "$(owner)" "$digest" <"$artifact"
    ;;
return | verify | undo)
    [ -n "$sha" ] || die 64 "which release? release.sh $verb SHA"
    work_there "$verb" "$sha" "$(owner)" "" </dev/null
    ;;
served | status) work_there "$verb" "" "" "" </dev/null ;;
*) die 64 "usage: release.sh deploy|return|verify|undo SHA, release.sh served|status" ;;
esac
