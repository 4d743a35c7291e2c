"""The rollback drills against a lab, under load: nobody would have noticed, and a killed driver leaves nothing that is not said."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from lab import rehearsal, world
from lab.load import Load
from tests.whole.conftest import Checkout, lab_of_its_own

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.xdist_group("rollback-drills")]
INTERRUPTED, RETURNS = "rollback/interrupted", "rollback/returns"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    with lab_of_its_own(tmp_path_factory.mktemp("drills")) as (checkout, here):
        # A release that does not serve is met by whoever asks until it is taken back.
        context = here.context_file
        context.write_text(re.sub(r"    sick: .*\n", "", context.read_text()))
        yield checkout


def live(checkout: Checkout) -> str:
    here = world.load(checkout.root)
    assert here is not None
    return (rehearsal.home(here) / "current").resolve().name


def test_nobody_meets_a_deploy_that_is_killed_nor_the_way_back(lab: Checkout) -> None:
    here = world.load(lab.root)
    assert here is not None
    with Load(rehearsal.url(here), connections=4, seconds=300) as load:
        ran = lab.gate("--drill", "-k", f"{INTERRUPTED} or {RETURNS}", profile="", code=0, seconds=280)
    assert {c["check"]: c["outcome"] for c in ran.verdict["checks"]} == {INTERRUPTED: "held", RETURNS: "held"}
    assert (load.count.failed, load.count.mixed) == (0, 0), load.count.told
    assert load.count.requests > 1000 and set(load.count.versions) == {rehearsal.ONE, rehearsal.OTHER}
    # The drill counted too, and says so.
    assert len(re.findall(r"\d{3,} requests, 0 failed, 0 mixed", ran.out)) >= 2, ran.out
    assert "killed after 'noted', and 111111111111 serves" in ran.out
    assert re.search(r"run \d+ started on prod-runner-0[12]", ran.out)
    assert live(lab) == rehearsal.ONE


def test_a_killed_driver_leaves_what_the_next_run_says_first_and_puts_right(lab: Checkout) -> None:
    command = [sys.executable, "-m", "pytest", "--drill", "-k", INTERRUPTED, "--context=.lab/context.yml"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PREFLIGHT_", "GITHUB_", "RUNNER_"))}
    driver = subprocess.Popen(
        command, cwd=lab.root, env=clean, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert driver.stdout is not None
    with driver.stdout as out:
        for line in out:
            if "killed after 'switched" in line:
                break
        driver.send_signal(signal.SIGKILL)
        driver.wait(10)
    assert live(lab) == rehearsal.OTHER, "nobody put it back"
    ran = lab.gate()
    assert "the rehearsal target" in ran.out or "rehearsal, which is no production, may be half-way" in ran.out
    time.sleep(1)
    again = lab.gate("--drill", "-k", RETURNS, profile="", code=0, seconds=120)
    assert re.search(
        r"an earlier drill left rehearsal half-way \(.* for interrupted since .*\); 222222222222 serves", again.out
    )
    assert "was put back on rehearsal" in again.out
    assert "may be half-way" not in lab.gate().out
