"""The project's own workflow files, run: push → preflight → deploy → verify, and what happens when each of it goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import world
from tests.whole.conftest import ROOT, Checkout
from tests.whole.drive import SECRETS, Drive, give_make

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.xdist_group("lab")]
RELEASE = (ROOT / "lab/repository/scripts/release.sh").read_text()
GOOD, BAD, LATER = "a" * 40, "b" * 40, "c" * 40
PRIMARY, STANDBY = "prod-runner-01", "prod-runner-02"
# It is deployed, and turns out not to serve.
BROKEN = RELEASE.replace("    verify)\n", "    verify)\n        false\n")


@pytest.fixture(scope="module")
def drive(lab: Checkout) -> Iterator[Drive]:
    here = world.load(lab.root)
    assert here is not None
    if here.engine != "nspawn":
        pytest.skip(f"needs hosts of their own; this lab is {here.engine}")
    if not Path("/usr/bin/make").exists():
        pytest.skip("needs make: apt-get install make")
    give_make(here)
    text = (lab.root / ".lab/context.yml").read_text()
    text = re.sub(r"token: .*", "token: {env: PREFLIGHT_GITHUB_TOKEN}", text)
    text = text.replace("config: ssh_config", "config: ../.lab/ssh_config").replace(
        "directory: records", "directory: ../.lab/records"
    )
    production = lab.root / "contexts/production.yml"
    production.write_text(text)
    try:
        yield Drive(lab, here, RELEASE)
    finally:
        production.unlink()


@pytest.fixture(autouse=True)
def healed(drive: Drive) -> Iterator[None]:
    drive.release = RELEASE
    yield
    drive.checkout.lab("heal")


def test_a_push_reaches_production_on_the_primary(drive: Drive) -> None:
    ended = drive.workflow("deploy-production", GOOD)
    assert ended["preflight"].outputs["verdict"] == "deploy" and ended["preflight"].outputs["runner"] == PRIMARY
    deploy = ended["deploy"]
    assert (deploy.result, deploy.runner) == ("success", PRIMARY), deploy.log
    assert "√ the verdict is fresh, and for this runner" in deploy.log
    assert deploy.steps["Verify"] == "success" and deploy.steps["Undo"] == "skipped"
    assert drive.current(PRIMARY) == GOOD
    assert SECRETS["DEPLOY_KEY"] not in deploy.log


def test_with_the_primary_dead_it_lands_on_the_standby(drive: Drive) -> None:
    drive.checkout.lab("break", "service-stopped")
    ended = drive.workflow("deploy-production", LATER)
    assert "failover: prod-runner-01 fails" in ended["preflight"].log
    assert (ended["deploy"].result, ended["deploy"].runner) == ("success", STANDBY), ended["deploy"].log
    assert drive.current(STANDBY) == LATER and drive.current(PRIMARY) != LATER


def test_a_stranger_stops_it_before_anything_changes(drive: Drive) -> None:
    before = [drive.current(name) for name in (PRIMARY, STANDBY)]
    drive.checkout.lab("break", "stranger-registered")
    ended = drive.workflow("deploy-production", BAD)
    assert ended["preflight"].result == "failure" and ended["deploy"].result == "skipped"
    assert "× do not deploy: failover/strangers-excluded" in ended["preflight"].log
    assert [drive.current(name) for name in (PRIMARY, STANDBY)] == before


def test_a_bad_release_is_taken_back(drive: Drive) -> None:
    drive.workflow("deploy-production", GOOD)
    assert drive.current(PRIMARY) == GOOD
    drive.release = BROKEN
    deploy = drive.workflow("deploy-production", BAD)["deploy"]
    assert deploy.result == "failure" and deploy.steps["Deploy"] == "success"
    assert deploy.steps["Verify"] == "failure" and deploy.steps["Undo"] == "success", deploy.log
    assert drive.current(PRIMARY) == GOOD


def test_the_way_back_is_one_command(drive: Drive) -> None:
    drive.workflow("deploy-production", GOOD)
    drive.workflow("deploy-production", LATER)
    assert drive.current(PRIMARY) == LATER
    ended = drive.workflow("rollback", LATER, version=GOOD)
    assert (ended["rollback"].result, ended["rollback"].runner) == ("success", PRIMARY), ended["rollback"].log
    assert drive.current(PRIMARY) == GOOD


def test_a_job_that_is_run_again_does_not_take_an_old_verdict(drive: Drive) -> None:
    """ "Re-run failed jobs" keeps the preflight's outputs and its artifact, and is another attempt."""
    first = drive.workflow("deploy-production", GOOD)
    before = drive.current(PRIMARY)
    drive.attempt = 2
    try:
        contexts = drive.contexts(BAD, {}, {"preflight": first["preflight"]})
        contexts["github"]["run_attempt"] = 1  # the artifact of the first attempt, as GitHub would serve it
        again = drive.runner(drive.read("deploy-production")["jobs"]["deploy"], contexts, ["self-hosted", PRIMARY])
    finally:
        drive.attempt = 1
    assert again.result == "failure" and "it is of run attempt '1'" in again.log
    assert again.steps["Deploy"] == "skipped" and drive.current(PRIMARY) == before
