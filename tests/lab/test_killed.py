"""A lab command that is killed at any moment: the next one finds and removes everything.

SIGKILL strikes the command alone; what it started goes on, and that is the worst case. The moments are spread over the
time that the same command has just taken.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.copies import Copy, copied

pytestmark = [pytest.mark.lab, pytest.mark.slow]

MOMENTS = 9
FAULTS = (
    "service-stopped",
    "egress-dropped",
    "host-key-changed",
    "power-cut",
    "link-down",
    "host-frozen",
    "rebooted",
    "far-away",
)
"""One of each kind of trace: a unit, a firewall table, a key file, a dead host, a link, a freezer, a wire."""


@pytest.fixture
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Copy]:
    with copied(str(request.param), tmp_path / "a checkout") as one:
        yield one


def took(copy: Copy, *words: str) -> float:
    started = time.monotonic()
    copy.run(*words)
    return time.monotonic() - started


def killed(copy: Copy, seconds: float, *words: str) -> None:
    """Start a command and kill it after `seconds`, or let it end if it was quicker."""
    process = copy.start(*words)
    time.sleep(seconds)
    process.kill()
    process.communicate(timeout=60)


def moments(whole: float, count: int = MOMENTS) -> list[float]:
    return [whole * step / count for step in range(1, count + 1)]


@pytest.mark.parametrize("copy", ["nspawn", "loopback"], indirect=True)
def test_up_is_killed(copy: Copy) -> None:
    before = copy.on_the_machine()
    whole = took(copy, "up")
    copy.run("down")
    for number, moment in enumerate(moments(whole)):
        killed(copy, moment, "up")
        if number % 3 == 0:
            copy.run("up")
            copy.run("status")
        copy.run("down")
        assert copy.on_the_machine() == before, f"killed after {moment:.2f} s"


@pytest.mark.parametrize("copy", ["nspawn", "loopback"], indirect=True)
def test_down_is_killed(copy: Copy) -> None:
    before = copy.on_the_machine()
    copy.run("up")
    whole = took(copy, "down")
    for number, moment in enumerate(moments(whole, 6)):
        copy.run("up")
        killed(copy, moment, "down")
        if number % 3 == 0:
            copy.run("up")
            copy.run("status")
        copy.run("down")
        assert copy.on_the_machine() == before, f"killed after {moment:.2f} s"


@pytest.mark.parametrize("copy", ["nspawn"], indirect=True)
def test_break_and_heal_are_killed(copy: Copy) -> None:
    """Half a fault heals as a whole one does, and half a healing can be finished."""
    before = copy.on_the_machine()
    copy.run("up")
    for fault in FAULTS:
        breaking = took(copy, "break", fault)
        healing = took(copy, "heal", fault)
        for moment in moments(breaking, 3):
            killed(copy, moment, "break", fault)
            copy.run("heal")
            copy.run("status")
        for moment in moments(healing, 2):
            copy.run("break", fault)
            killed(copy, moment, "heal", fault)
            copy.run("heal")
            copy.run("status")
    copy.run("break", "far-away")
    killed(copy, 0.3, "break", "host-frozen")
    copy.run("down")
    assert copy.on_the_machine() == before


@pytest.mark.parametrize("copy", ["nspawn"], indirect=True)
def test_a_reset_is_killed(copy: Copy) -> None:
    before = copy.on_the_machine()
    copy.run("up")
    for moment in moments(took(copy, "reset", "prod-runner-01"), 5):
        killed(copy, moment, "reset", "prod-runner-01")
        copy.run("reset", "prod-runner-01")
        copy.run("status")
    copy.run("down")
    assert copy.on_the_machine() == before


def test_two_labs_at_once_and_one_of_them_killed(tmp_path: Path) -> None:
    """Each has its own addresses, and neither's removal touches the other."""
    with copied("nspawn", tmp_path / "one") as one, copied("nspawn", tmp_path / "other") as other:
        before = other.on_the_machine()
        both = [copy.start("up") for copy in (one, other)]
        for process in both:
            said, _ = process.communicate(timeout=240)
            assert process.returncode == 0, said
        one.run("break", "power-cut")
        other.run("status")
        killed(other, 0.2, "down")
        other.run("down")
        assert other.on_the_machine() == before
        one.run("heal")
        one.run("status")
        one.run("down")
