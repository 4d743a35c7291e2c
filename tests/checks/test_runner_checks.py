"""The checks of the runner's own processes, log, version, identity and work directory, over facts as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks import test_runner_health as health
from fixtures.facts.connections import Connections
from fixtures.facts.diag import Diag, Line
from fixtures.facts.identity import Entry, Identity
from fixtures.facts.installed import Installed
from fixtures.facts.limits import Limits
from fixtures.facts.registrations import Registrations
from fixtures.facts.releases import Releases
from fixtures.facts.seen import Unseen
from fixtures.facts.workspace import Workspace
from tests.worlds import NOW, listener, processes, registration, registrations, runner, worker

FIRST, LIMITS = runner(), Limits()
CLOCK = NOW.timestamp()
BUSY = registrations().runners[1:]
HELD = Connections(1, (443,), 1)


def known(**changes: Any) -> Registrations:
    """GitHub's word on the runner."""
    return Registrations((registration(**changes), *BUSY))


def diag(*lines: tuple[float, str]) -> Diag:
    """A log whose lines are so many seconds old."""
    return Diag(
        "Runner_20261124-040000-utc.log", CLOCK, True, "2.336.0", tuple(Line(CLOCK - ago, text) for ago, text in lines)
    )


def installed(**changes: Any) -> Installed:
    return replace(Installed((2, 336, 0), "2.336.0", True, ""), **changes)


def releases(*newer: tuple[tuple[int, ...], int]) -> Releases:
    """2.336.0, and newer ones that came out so many days ago."""
    published = [
        ((2, 336, 0), datetime(2026, 7, 20, tzinfo=UTC)),
        *((number, NOW - timedelta(days=days)) for number, days in newer),
    ]
    return Releases(True, tuple(published))


def entry(path: str, mode: int, owner: str = "runner", group: str = "runner") -> Entry:
    return Entry(path, mode, owner, group)


ALL = (entry(".runner", 0o644), entry(".credentials", 0o644))


KEY = entry(".credentials_rsaparams", 0o600)


def identity(key: Entry | None = KEY, *loose: Entry) -> Identity:
    return Identity("runner", (*ALL, *([key] if key else [])), loose)


def workspace(**changes: Any) -> Workspace:
    return replace(Workspace("/opt/actions-runner/_work", True, (), (), ()), **changes)


RENEW = "Successfully renew job 0f8f, job is valid till 2026-11-24T04:15:00Z"
ACK = "Acknowledging runner request '0f8f'."
CRASH = "Return code 137 indicate worker encounter an unhandled exception or app crash, attach"
DELETED = "WRITE ERROR: Failed to create a session. The runner registration has been deleted from the server"
DONE = "WRITE LINE: 2026-11-24 04:00:00Z: Job build completed with result: Succeeded"

Case = tuple[Callable[..., None], tuple[Any, ...]]

# fmt: off
HOLDS: dict[str, Case] = {
    "both say idle": (health.test_tells_the_truth, (FIRST, known(), processes())),
    "its own registration": (health.test_tells_the_truth, (FIRST, known(), replace(processes(), registered="PROD-1"))),
    "both say busy": (health.test_tells_the_truth, (FIRST, known(busy=True), processes(listener(), worker()))),
    "both say gone": (health.test_tells_the_truth, (FIRST, known(online=False), processes(listener(state="T")))),
    "neither knows it": (health.test_tells_the_truth, (FIRST, Registrations(()), replace(processes(), listeners=()))),
    "it polls": (health.test_polling, (FIRST, processes(), HELD, diag())),
    "it waits for a job since a minute": (health.test_polling, (FIRST, processes(), HELD, diag((60, ACK)))),
    "it waited, and went on": (health.test_polling, (FIRST, processes(), HELD, diag((600, ACK), (599, "WRITE LINE: Running job: x")))),
    "a job is renewed": (health.test_polling, (FIRST, processes(listener(), worker()), HELD, diag((600, RENEW), (60, RENEW)))),
    "an old lease of a job that is over": (health.test_polling, (FIRST, processes(), HELD, diag((6000, RENEW)))),
    "after a job it is silent": (health.test_polling, (FIRST, processes(), HELD, diag((6000, "Get messages has been cancelled using local token source. Continue to get messages with new status.")))),
    "nothing in the log": (health.test_diag_quiet, (FIRST, diag(), LIMITS)),
    "too long ago": (health.test_diag_quiet, (FIRST, diag((86_401, DELETED)), LIMITS)),
    "a crash, and a job that went well": (health.test_diag_quiet, (FIRST, diag((600, CRASH), (300, DONE)), LIMITS)),
    "errors that are none": (health.test_diag_quiet, (FIRST, diag((6, "Runner connect error: x. Retrying until reconnected."), (5, "Falling back to original .runner settings"), (4, "Worker finished for job 0f8fad5b-d9cb-469f-a165-70867728950e. Code: 100")), LIMITS)),
    "the latest version": (health.test_version_supported, (FIRST, installed(), releases(), LIMITS, NOW)),
    "a newer one, in time": (health.test_version_supported, (FIRST, installed(), releases(((2, 337, 0), 29)), LIMITS, NOW)),
    "newer than any": (health.test_version_supported, (FIRST, installed(version=(2, 400, 0)), releases(), LIMITS, NOW)),
    "GHES": (health.test_version_supported, (FIRST, installed(version=(2, 329, 0)), Releases(False, ()), LIMITS, NOW)),
    "a clean directory": (health.test_workspace_clean, (FIRST, workspace())),
    "a job runs": (health.test_workspace_clean, (FIRST, workspace(idle=False, temp=("/w/_temp/x.sh",)))),
    "a private key": (health.test_identity_private, (FIRST, identity())),
    "a key for reading alone": (health.test_identity_private, (FIRST, identity(entry(".credentials_rsaparams", 0o400)))),
}

# (the check, its facts, a part of what it says)
BREAKS: dict[str, tuple[Callable[..., None], tuple[Any, ...], str]] = {
    "online, and nobody listens": (health.test_tells_the_truth, (FIRST, known(), replace(processes(), listeners=())), "GitHub says that prod-1 is online, and on its host it does not listen"),
    "online, and it is stopped": (health.test_tells_the_truth, (FIRST, known(), processes(listener(state="T"))), "does not listen"),
    "offline, and it listens": (health.test_tells_the_truth, (FIRST, known(online=False), processes()), "GitHub says that prod-1 is offline, and on its host it listens"),
    "not registered, and it listens": (health.test_tells_the_truth, (FIRST, Registrations(()), processes()), "is not registered"),
    "busy, and no Worker": (health.test_tells_the_truth, (FIRST, known(busy=True), processes()), "GitHub says that prod-1 is busy, and on its host no Worker lives"),
    "idle, and a Worker": (health.test_tells_the_truth, (FIRST, known(), processes(listener(), worker())), "GitHub says that prod-1 is idle, and on its host a Worker lives"),
    "a registration of another": (health.test_tells_the_truth, (FIRST, known(), replace(processes(), registered="prod-2")), "the host of prod-1 holds the registration of prod-2"),
    "an orphan": (health.test_tells_the_truth, (FIRST, known(busy=True), processes(listener(), worker(parent=1))), "without a living listener: Runner.Worker 99"),
    "an orphan of a dead one": (health.test_tells_the_truth, (FIRST, known(busy=True), processes(listener(), listener(pid=70, state="Z"), worker(parent=70))), "without a living listener"),
    "nobody polls": (health.test_polling, (FIRST, replace(processes(), listeners=()), replace(HELD, listeners=0, held=0), diag()), "nobody polls for prod-1"),
    "stopped, with its connection": (health.test_polling, (FIRST, processes(listener(state="T")), HELD, diag()), "nobody polls"),
    "no connection": (health.test_polling, (FIRST, processes(), replace(HELD, held=0), diag()), "hears of no job: its listener's user holds no connections to port 443"),
    "a hang": (health.test_polling, (FIRST, processes(), HELD, diag((121, ACK))), "a job was taken and never began"),
    "a hang at the token": (health.test_polling, (FIRST, processes(), HELD, diag((500, "AAD Correlation ID for this token request: Unknown"))), "never began"),
    "a lease not renewed": (health.test_polling, (FIRST, processes(listener(), worker()), HELD, diag((181, RENEW))), "a job whose lease it renewed last 181 s ago"),
    "deleted": (health.test_diag_quiet, (FIRST, diag((60, DELETED)), LIMITS), "look at clock-true first"),
    "a crash": (health.test_diag_quiet, (FIRST, diag((600, DONE), (300, CRASH)), LIMITS), "JOB-CRASH at 2026-11-24 04:00:00Z"),
    "what a good job does not mend": (health.test_diag_quiet, (FIRST, diag((600, DELETED), (300, DONE)), LIMITS), "REG-DELETED-CREATE"),
    "below the floor": (health.test_version_supported, (FIRST, installed(version=(2, 328, 0)), releases(), LIMITS, NOW), "version 2.328.0; 2.329.0 is the floor"),
    "below the floor, GHES": (health.test_version_supported, (FIRST, installed(version=(2, 328, 0)), Releases(False, ()), LIMITS, NOW), "is the floor"),
    "long overdue": (health.test_version_supported, (FIRST, installed(), releases(((2, 337, 0), 31)), LIMITS, NOW), "2.336.0 was followed by a newer release 31 days ago (30 are allowed); the latest is 2.337.0"),
    "overdue by the first of two": (health.test_version_supported, (FIRST, installed(), releases(((2, 337, 0), 40), ((2, 338, 0), 1)), LIMITS, NOW), "the latest is 2.338.0"),
    "an update that is stuck": (health.test_version_supported, (FIRST, installed(stuck="its last update failed (x)"), releases(), LIMITS, NOW), "its last update failed"),
    "no version at all": (health.test_version_supported, (FIRST, installed(version=(), stuck="bin leads nowhere (/x)"), releases(), LIMITS, NOW), "bin leads nowhere"),
    "foreign files": (health.test_workspace_clean, (FIRST, workspace(foreign=("/w/x",))), "not of the runner's user: /w/x"),
    "foreign files while it works": (health.test_workspace_clean, (FIRST, workspace(foreign=("/w/x",), idle=False)), "(a job runs)"),
    "scripts left": (health.test_workspace_clean, (FIRST, workspace(temp=("/w/_temp/x.sh",))), "left in _temp"),
    "pages left": (health.test_workspace_clean, (FIRST, workspace(pages=("_diag/pages/x",))), "in the way of new ones"),
    "no registration": (health.test_identity_private, (FIRST, Identity("runner", (), ())), "is not registered on its host: .runner, .credentials, .credentials_rsaparams missing"),
    "no key": (health.test_identity_private, (FIRST, identity(None)), ".credentials_rsaparams missing"),
    "a key for all": (health.test_identity_private, (FIRST, identity(entry(".credentials_rsaparams", 0o644))), ".credentials_rsaparams is 644 runner:runner"),
    "a key for the group": (health.test_identity_private, (FIRST, identity(entry(".credentials_rsaparams", 0o640))), "is 640"),
    "a key of root's": (health.test_identity_private, (FIRST, identity(entry(".credentials_rsaparams", 0o600, "root"))), "is 600 root"),
    "a program for all": (health.test_identity_private, (FIRST, identity(KEY, entry("bin/", 0o757))), "somebody else may write bin/ is 757"),
}
# fmt: on


@pytest.mark.parametrize("case", HOLDS)
def test_it_holds(case: str) -> None:
    check, facts = HOLDS[case]
    check(*facts)


@pytest.mark.parametrize("case", BREAKS)
def test_it_breaks_and_says_what_it_saw(case: str) -> None:
    check, facts, says = BREAKS[case]
    with pytest.raises(AssertionError) as broken:
        check(*facts)
    assert says in str(broken.value)


@pytest.mark.parametrize(
    ("github", "host"),
    [
        (known(busy=True), processes(quiet=5.0)),
        (known(), processes(listener(), worker(seconds=5.0))),
        (known(busy=True), processes(quiet=-1.0)),
    ],
)
def test_while_a_job_begins_or_ends_nothing_is_known(github: Registrations, host: Any) -> None:
    with pytest.raises(Unseen):
        health.test_tells_the_truth(FIRST, github, host)


def test_where_both_agree_the_moment_does_not_matter() -> None:
    health.test_tells_the_truth(FIRST, known(), processes(quiet=-1.0))
    health.test_tells_the_truth(FIRST, known(busy=True), processes(listener(), worker(seconds=1.0)))
