"""Faults of the deployment that drills rehearse on, each of a kind that people's deploy scripts really have."""

from __future__ import annotations

from collections.abc import Callable

from lab import outside, rehearsal
from lab.fault import BOTH, SYSTEMD, Fault
from lab.faults_hosts import NOTHING
from lab.process import LabError
from lab.world import Lab

INTERRUPTED, RETURNS = ("-k", "rollback/interrupted"), ("-k", "rollback/returns")
SLOW_SECONDS = 40

POINT = """point() {
    ln -sfn"""
IN_PLACE = """point() {
    if [ "$1" = current ]; then
        [ ! -L "$root/current" ] || rm "$root/current"
        mkdir -p "$root/current"
        for it in "$root/releases/$2"/*; do cp "$it" "$root/current/" && sleep 0.2; done
        return
    fi
    ln -sfn"""
AT = """at() {
"""
IN_PLACE_AT = """at() {
    if [ "$1" = current ] && [ -d "$root/current" ] && [ ! -L "$root/current" ]; then cat "$root/current/version"; return; fi
"""
LOCK = """    command -v flock"""
STALE_LOCK = """    mkdir "$lock.d" 2>/dev/null || die 75 "deploy lock found: $lock.d"
    trap 'rmdir "$lock.d"' EXIT
    return
    command -v flock"""
SERVES = """serves() {
"""
NO_HEALTH = """serves() {
    return 0
"""
PRUNE = """prune() {
"""
KEEPS_NONE = """prune() {
    for it in "$root"/releases/*; do [ "${it##*/}" = "$(at current)" ] || remove "$it"; done
    return
"""


def changed(*pairs: tuple[str, str]) -> Callable[[Lab], None]:
    """The script on the rehearsal target, with these texts replaced."""

    def inject(lab: Lab) -> None:
        script = rehearsal.script(lab)
        text = script.read_text("utf-8")
        for old, new in pairs:
            if text.count(old) != 1:
                raise LabError(f"release.sh has no single {old.strip()!r} to change")
            text = text.replace(old, new)
        script.write_text(text, "utf-8")

    return inject


def slow_return(lab: Lab) -> None:
    with (rehearsal.home(lab) / "release.conf").open("a", encoding="utf-8") as file:
        file.write(f'[ "${{verb:-}}" != return ] || sleep {SLOW_SECONDS}\n')


def stop(lab: Lab) -> None:
    outside.stop(lab, "rehearsal")


def start(lab: Lab) -> None:
    if not outside.running(lab, "rehearsal"):
        outside.start_rehearsal(lab)


FAULTS: tuple[Fault, ...] = (
    Fault("deploy-in-place", "The deploy copies the files of a release, one after the other, over those that serve.",
          frozenset({"rollback/interrupted"}), NOTHING, BOTH,
          changed((POINT, IN_PLACE), (AT, IN_PLACE_AT)), rehearsal.make, drill=INTERRUPTED),
    Fault("deploy-lock-stale", "The deploy's lock is a directory that only its owner removes: a killed deploy keeps it for ever.",
          frozenset({"rollback/interrupted"}), NOTHING, BOTH, changed((LOCK, STALE_LOCK)), rehearsal.make, drill=INTERRUPTED),
    Fault("deploy-unverified", "The deploy does not look whether the release serves that it switched to.",
          frozenset({"rollback/interrupted"}), NOTHING, BOTH, changed((SERVES, NO_HEALTH)), rehearsal.make, drill=INTERRUPTED),
    Fault("rehearsal-silent", "The machine that drills rehearse on takes no SSH.",
          NOTHING, frozenset({"rollback/interrupted"}), BOTH, stop, start, drill=INTERRUPTED),
    Fault("rollback-release-gone", "Each deploy removes all other releases: there is none to return to.",
          frozenset({"rollback/returns"}), NOTHING, SYSTEMD, changed((PRUNE, KEEPS_NONE)), rehearsal.make, drill=RETURNS),
    Fault("rollback-slow", "The way back takes longer than its limit.",
          frozenset({"rollback/returns"}), NOTHING, SYSTEMD, slow_return, rehearsal.make, drill=RETURNS),
)  # fmt: skip
