"""Faults of the machine that production runs on: its lock, its releases, the way to it."""

import shutil
from collections.abc import Callable

from lab import outside, target, world
from lab.fault import BOTH, NSPAWN, Fault
from lab.faults_context import write_again
from lab.faults_hosts import NOTHING, PRIMARY
from lab.faults_resources import run_on
from lab.process import LabError
from lab.world import Lab

RELEASES = frozenset({"rollback/release-on-target"})
LOCK = frozenset({"serialization/host-lock"})


def take_lock(lab: Lab) -> None:
    target.lock(lab).write_text("run 4711 of another/repository, by alice\n")


def free_lock(lab: Lab) -> None:
    target.lock(lab).unlink(missing_ok=True)


def last_good(act: Callable[[str, Lab], None]) -> Callable[[Lab], None]:
    """Something happens to the release that a rollback would return to."""

    def inject(lab: Lab) -> None:
        shas = target.deployed(lab)
        if len(shas) < 2:
            raise LabError("the stand-in's record has no release to return to")
        act(shas[1], lab)

    return inject


def remove(sha: str, lab: Lab) -> None:
    shutil.rmtree(target.releases(lab) / sha)


def halve(sha: str, lab: Lab) -> None:
    (target.releases(lab) / sha / ".complete").unlink()


def point_at(sha: str, lab: Lab) -> None:
    target.current(lab).unlink()
    target.current(lab).symlink_to(target.releases(lab) / sha)


def stop_target(lab: Lab) -> None:
    outside.stop(lab, "target")


def start_target(lab: Lab) -> None:
    if not outside.running(lab, "target"):
        outside.start_target(lab)


def undeclare(lab: Lab) -> None:
    text = lab.context_file.read_text("utf-8")
    world.write(lab.context_file, "".join(line for line in text.splitlines(True) if "host_lock:" not in line))


FAULTS: tuple[Fault, ...] = (
    Fault("host-lock-held", "Another repository's deploy holds the target's own lock; GitHub's lock knows nothing of it.",
          LOCK, NOTHING, BOTH, take_lock, free_lock),
    Fault("host-lock-undeclared", "The context names no lock on the target, and nobody says that no other repository deploys there.",
          LOCK, NOTHING, BOTH, undeclare, write_again),
    Fault("release-gone", "A cleanup on the target removed the last good release.",
          RELEASES, NOTHING, BOTH, last_good(remove), target.make),
    Fault("release-incomplete", "The last good release was never completely copied to the target.",
          RELEASES, NOTHING, BOTH, last_good(halve), target.make),
    Fault("live-by-hand", "Somebody pointed production at another release by hand; GitHub's record does not know.",
          RELEASES, NOTHING, BOTH, last_good(point_at), target.make),
    Fault("target-silent", "The machine that production runs on takes no SSH.",
          NOTHING, RELEASES | LOCK | {"rollback/room-to-return"}, BOTH, stop_target, start_target),
    Fault("dry-run-fails", "The primary lost the file that says where a rollback goes.",
          frozenset({f"rollback/dry-run[{PRIMARY}]"}), NOTHING, NSPAWN,
          run_on("mv /etc/widgets/deploy.conf /etc/widgets/away"), run_on("mv /etc/widgets/away /etc/widgets/deploy.conf"), PRIMARY),
)  # fmt: skip
