"""A drill whose driver is killed, or loses its network, at any moment: the primary is back by itself within the switch's
time, and the next run says what happened.

SIGKILL strikes the driving process alone, and nothing of it is left to put anything right: the switch on the host is.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import world
from lab.engine import engine_named, on
from lab.fault import SYSTEMD
from lab.process import until
from lab.world import Host, Lab
from tests.whole.conftest import Checkout

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
SWITCH_SECONDS = 20
SLACK_SECONDS = 10.0
"""For a timer's accuracy, a service that starts, and a machine that is busy."""
LONGEST_SECONDS = 150
KILLS, CUTS = 30, 10
PREFLIGHT = ".github/workflows/preflight.yml"


@dataclass
class Drilled:
    """The lab with a context whose switch is short, and a selection that chooses the standby."""

    checkout: Checkout
    lab: Lab
    primary: Host
    context: str

    @property
    def note(self) -> Path:
        return self.checkout.root / "reports" / "history" / "lab.drill.json"

    def start(self) -> subprocess.Popen[str]:
        """The driver, as a person starts it. Its words come as it says them."""
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PREFLIGHT_", "GITHUB_", "RUNNER_"))
        }
        command = [sys.executable, "-u", "-m", "pytest", "--drill", "-k", "takeover", f"--context={self.context}"]
        return subprocess.Popen(
            command,
            cwd=self.checkout.root,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def serves(self) -> bool:
        """Whether the primary's service runs, by its own systemd."""
        said = on(self.lab, self.primary.name, f"systemctl is-active {self.primary.unit} || :")
        return said.strip() == "active"

    def back_by_itself(self) -> None:
        until(self.serves, "the primary to be back by itself", SWITCH_SECONDS + SLACK_SECONDS, 0.2)

    def next_run(self) -> str:
        """What a run of another kind says first: one line of a quiet run stands before its verdict."""
        said = self.checkout.run(
            [sys.executable, "-m", "pytest", "-q", "-k", "standby-approved", f"--context={self.context}"]
        ).out
        lines = said.strip().splitlines()
        assert len(lines) <= 2, said
        return lines[0] if len(lines) == 2 else ""

    def said_rightly(self) -> bool:
        """Whether something was left; and whether the next run says it."""
        left = self.note.is_file()
        said = self.next_run()
        assert ("did not end" in said) == left, f"left: {left}, said: {said!r}"
        if left and json.loads(self.note.read_text())["runner"]:
            assert "prod-runner-01 was taken away (service-stopped)" in said and "by itself at" in said
        return left


@pytest.fixture(scope="module")
def drilled(lab: Checkout) -> Iterator[Drilled]:
    up = world.load(lab.root)
    assert up is not None
    if up.engine not in SYSTEMD:
        pytest.skip(f"the runners of this lab ({up.engine}) have no systemd, and so no switch")
    text = (lab.root / ".lab" / "context.yml").read_text()
    short = text.replace("takeover: 60s", "takeover: 5s").replace("switch: 120s", f"switch: {SWITCH_SECONDS}s")
    assert short.count(f"switch: {SWITCH_SECONDS}s") == short.count("takeover: 5s") == 1
    (lab.root / ".lab" / "drill.yml").write_text(short)
    chosen = {"runs-on": '["self-hosted", "prod-runner-02"]', "runner": "prod-runner-02", "verdict": "deploy"}
    up.request("PUT", "/_lab/outputs", {PREFLIGHT: chosen})
    found = Drilled(lab, up, up.host("prod-runner-01"), ".lab/drill.yml")
    yield found
    up.request("PUT", "/_lab/outputs", {})
    # What a test that failed half-way left: the lab is for others too.
    on(
        up,
        "prod-runner-01",
        f"systemctl stop preflight-drill-switch.timer || :; systemctl start {found.primary.unit}",
        check=False,
    )
    found.note.unlink(missing_ok=True)


def killed(driver: subprocess.Popen[str]) -> None:
    driver.send_signal(signal.SIGKILL)
    driver.communicate(timeout=30)


def test_a_driver_that_is_killed_leaves_a_primary_that_comes_back_by_itself(drilled: Drilled) -> None:
    """In the worst moment: the primary is stopped, and nobody is left who knows."""
    driver = drilled.start()
    assert driver.stdout is not None
    said = next((line for line in driver.stdout if "was stopped" in line), "")
    assert said, "the drill took nothing away"
    killed(driver)
    assert not drilled.serves()
    assert drilled.said_rightly()
    drilled.back_by_itself()
    mended = drilled.checkout.run(
        [sys.executable, "-m", "pytest", "--drill", "-k", "takeover", f"--context={drilled.context}"],
        None,
        LONGEST_SECONDS,
    ).out
    events = [line for line in mended.splitlines() if line.startswith("00:00 ")]
    assert "did not end" in events[0]
    assert "prod-runner-01 is back, and no switch waits on it" in events[1]
    assert "its lock is free" in events[2] and "the drill lock is taken" in events[3]
    assert drilled.serves() and not drilled.said_rightly()


def test_an_interrupted_driver_puts_everything_back(drilled: Drilled) -> None:
    driver = drilled.start()
    assert driver.stdout is not None
    assert next((line for line in driver.stdout if "was stopped" in line), "")
    driver.send_signal(signal.SIGINT)
    rest = driver.communicate(timeout=LONGEST_SECONDS)[0]
    assert driver.returncode == 2, rest
    assert "was given back, and its switch disarmed" in rest
    assert drilled.serves() and not drilled.said_rightly()


def whole(drilled: Drilled) -> float:
    """How long a drill takes that nobody disturbs."""
    started = time.monotonic()
    driver = drilled.start()
    driver.communicate(timeout=LONGEST_SECONDS)
    return time.monotonic() - started


@pytest.mark.slow
def test_thirty_drivers_are_killed_at_random_moments(drilled: Drilled) -> None:
    longest, left = whole(drilled), 0
    moments = random.Random(time.time_ns())
    for _ in range(KILLS):
        driver = drilled.start()
        time.sleep(moments.uniform(0, longest))
        killed(driver)
        drilled.back_by_itself()
        left += drilled.said_rightly()
    assert left, "no moment struck a drill under way"


@pytest.mark.slow
def test_ten_drivers_lose_their_network_at_random_moments(drilled: Drilled) -> None:
    """They reach neither host nor GitHub any more, and are switched off at last, their primary being back long before."""
    longest = whole(drilled)
    moments = random.Random(time.time_ns())
    engine = engine_named(drilled.lab.engine)
    for _ in range(CUTS):
        driver = drilled.start()
        time.sleep(moments.uniform(1.0, longest))
        for host in drilled.lab.hosts:
            engine.silence(drilled.lab, host, True)
        drilled.checkout.lab("break", "api-stalls")
        try:
            drilled.back_by_itself()
        finally:
            killed(driver)
            drilled.checkout.lab("heal", "api-stalls")
            for host in drilled.lab.hosts:
                engine.silence(drilled.lab, host, False)
        drilled.said_rightly()
