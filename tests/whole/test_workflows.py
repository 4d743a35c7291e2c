"""The project's own workflow files, run by the lab's GitHub: push → preflight → deploy → verify, and each of it going wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import control, target
from tests.whole.actions import Actions
from tests.whole.conftest import ROOT, lab_of_its_own

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.xdist_group("workflows")]
GATE, DEPLOY, ROLLBACK = "preflight / Gate", "Deploy", "Roll back"
PRIMARY, STANDBY = "prod-runner-01", "prod-runner-02"
SCRIPT, WORKFLOW = "scripts/release.sh", ".github/workflows/deploy-production.yml"
RETURN, SAYS = ".github/workflows/rollback.yml", "run-name: Return to ${{ inputs.version }}"
RELEASE = (ROOT / "lab/repository" / SCRIPT).read_text()
# It is deployed, and turns out not to serve.
BROKEN = RELEASE.replace("    verify)\n", "    verify)\n        false\n")
assert BROKEN != RELEASE


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Actions]:
    with lab_of_its_own(tmp_path_factory.mktemp("workflows")) as (checkout, here):
        yield Actions(checkout, here)


@pytest.fixture
def actions(lab: Actions) -> Iterator[Actions]:
    yield lab
    lab.checkout.lab("heal")


def release(actions: Actions, script: str = RELEASE) -> str:
    """Another version on main. Its sha."""
    release.number += 1  # type: ignore[attr-defined]
    files = {"VERSION": f"2.{release.number}\n", SCRIPT: script}  # type: ignore[attr-defined]
    return actions.push("A version [skip ci]", files)[0]


release.number = 0  # type: ignore[attr-defined]


def deployed(actions: Actions, script: str = RELEASE) -> str:
    """A release that serves now."""
    sha = release(actions, script)
    ended = actions.run("deploy-production")
    assert ended[DEPLOY].result == "success", ended[GATE].log + ended[DEPLOY].log
    assert (actions.live(), actions.served()) == (sha, sha)
    return sha


def test_a_push_reaches_production_on_the_primary(actions: Actions) -> None:
    """Nothing of the file is changed but what its own first lines say: the events that may deploy."""
    source = (ROOT / WORKFLOW).read_text().replace("on:\n", "on:\n  push:\n    branches: [main]\n", 1)
    sha, runs = actions.push("The deploy follows a push", {WORKFLOW: source, "VERSION": "2.0\n"})
    told = {actions.ask("GET", f"runs/{run}")["path"]: run for run in runs}
    assert set(told) == {WORKFLOW, ".github/workflows/ci.yml"}
    actions.ask("POST", f"runs/{told['.github/workflows/ci.yml']}/cancel")
    ended = actions.ended(told[WORKFLOW])
    assert ended[GATE].runner == control.NAME
    assert ended[GATE].outputs["verdict"] == "deploy" and ended[GATE].outputs["runner"] == PRIMARY
    deploy = ended[DEPLOY]
    assert (deploy.result, deploy.runner) == ("success", PRIMARY), deploy.log
    assert "√ the verdict is fresh, and for this runner" in deploy.log
    assert deploy.steps["Verify"] == "success" and deploy.steps["Undo"] == "skipped"
    assert (actions.live(), actions.served()) == (sha, sha)
    key = target.deploy_key(actions.lab).read_text().splitlines()[1]
    assert key not in deploy.log
    names = {it["name"] for it in actions.ask("GET", f"runs/{told[WORKFLOW]}/artifacts")["artifacts"]}
    assert names == {"verdict-1", "preflight-1"}


def test_with_the_primary_dead_it_lands_on_the_standby(actions: Actions) -> None:
    sha = release(actions)
    actions.checkout.lab("break", "service-stopped")
    ended = actions.run("deploy-production")
    assert "failover: prod-runner-01 fails" in ended[GATE].log
    assert (ended[DEPLOY].result, ended[DEPLOY].runner) == ("success", STANDBY), ended[DEPLOY].log
    assert actions.served() == sha


def test_a_stranger_stops_it_before_anything_changes(actions: Actions) -> None:
    release(actions)
    before = actions.live()
    actions.checkout.lab("break", "stranger-registered")
    ended = actions.run("deploy-production")
    assert ended[GATE].result == "failure" and ended[DEPLOY].result == "skipped"
    assert "× do not deploy: failover/strangers-excluded" in ended[GATE].log
    assert actions.live() == actions.served() == before


def test_a_bad_release_is_taken_back(actions: Actions) -> None:
    good = deployed(actions)
    release(actions, BROKEN)
    deploy = actions.run("deploy-production")[DEPLOY]
    assert deploy.result == "failure" and deploy.steps["Deploy"] == "success"
    assert deploy.steps["Verify"] == "failure" and deploy.steps["Undo"] == "success", deploy.log
    assert actions.served() == good


def test_a_job_that_is_run_again_does_not_take_an_old_verdict(actions: Actions) -> None:
    """ "Re-run failed jobs" keeps the preflight's outputs, and is another attempt: its verdict is not there."""
    good = deployed(actions)
    release(actions, BROKEN)
    run = actions.dispatch("deploy-production")
    assert actions.ended(run)[DEPLOY].steps["Verify"] == "failure"
    actions.ask("POST", f"runs/{run}/rerun-failed-jobs")
    again = actions.ended(run)
    assert GATE not in again and again[DEPLOY].result == "failure"
    assert "Artifact not found for name: verdict-2" in again[DEPLOY].log
    assert again[DEPLOY].steps["Deploy"] == "skipped" and actions.served() == good


def test_the_way_back_is_one_command(actions: Actions) -> None:
    """GitHub records a rollback under the commit that it was started on: the run's title says where it returned to, and
    the gates of the next rollback, and of the deploy after it, agree with what serves."""
    good = deployed(actions)
    left = deployed(actions)
    ended = actions.run("rollback", version=good)
    assert (ended[ROLLBACK].result, ended[ROLLBACK].runner) == ("success", PRIMARY), ended[ROLLBACK].log
    assert actions.served() == good
    assert actions.run("rollback", version=left)[ROLLBACK].result == "success"
    assert actions.served() == left
    deployed(actions)


def test_a_way_back_that_hides_its_version_is_not_guessed(actions: Actions) -> None:
    """The last one here: it leaves a record that holds every gate."""
    good = deployed(actions)
    source = (ROOT / RETURN).read_text()
    hidden = source.replace(f"{SAYS}\n", "")
    assert hidden != source
    actions.push("The rollback says no version [skip ci]", {RETURN: hidden})
    deployed(actions)
    assert actions.run("rollback", version=good)[ROLLBACK].result == "success"
    assert actions.served() == good
    for workflow, job, inputs in (("deploy-production", DEPLOY, {}), ("rollback", ROLLBACK, {"version": good})):
        ended = actions.run(workflow, **inputs)
        assert ended[GATE].result == "failure" and ended[job].result == "skipped"
        assert "? do not " in ended[GATE].log and SAYS in ended[GATE].log, ended[GATE].log
    assert actions.served() == good
