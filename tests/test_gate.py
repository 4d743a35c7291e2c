"""The gate as a process: a real deploy, what it writes, and every way in which it may say something else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import gate
from tests.gate import HEALTHY, NIGHT, ROOT, GitHub, Tree, verdict_in

IN_ACTIONS = {"GITHUB_RUN_ID": "77", "GITHUB_RUN_ATTEMPT": "2"}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_deploy(tree: Tree, tmp_path: Path) -> None:
    """The one way to exit 0 with a runner: what the deploy job reads, in verdict.json and in GITHUB_OUTPUT."""
    tree.world["limits"] = {"verdict_life": "7m"}
    outputs = tmp_path / "outputs"
    ran = tree.gate(env={"GITHUB_OUTPUT": str(outputs), **IN_ACTIONS})
    assert (ran.code, ran.word, ran.verdict["exit"]) == (0, "deploy", 0), ran.output
    assert ran.output.rstrip().endswith("√ deploy on prod-1")
    assert outputs.read_text("utf-8").splitlines() == [
        "verdict=deploy",
        "runner=prod-1",
        'runs-on=["self-hosted", "prod-1"]',
    ]
    assert (ran.verdict["profile"], ran.verdict["run"]) == ("quick", {"id": "77", "attempt": "2"})
    assert ran.verdict["fit"] == {"prod-1": "fit", "prod-2": "fit"}
    assert moment(ran.verdict["expires"]) - moment(ran.verdict["time"]) == timedelta(minutes=7)
    assert moment(ran.verdict["finished"]) >= moment(ran.verdict["time"])


def test_verdict_ages_from_the_look(tree: Tree) -> None:
    """A slow run makes no fresher verdict: expiry counts from when the world was seen."""
    tree.check("import time; time.sleep(2.1)")
    ran = tree.gate()
    assert ran.word == "deploy"
    assert moment(ran.verdict["expires"]) - moment(ran.verdict["time"]) == timedelta(minutes=15)
    assert moment(ran.verdict["finished"]) - moment(ran.verdict["time"]) >= timedelta(seconds=2)


def test_outputs_of_a_hold(tree: Tree, tmp_path: Path) -> None:
    """They name no runner and no labels, so that nothing can be routed by them."""
    tree.check("assert False")
    outputs = tmp_path / "outputs"
    assert tree.gate(env={"GITHUB_OUTPUT": str(outputs)}).word == "hold"
    assert outputs.read_text("utf-8").splitlines() == ["verdict=hold", "runner=", "runs-on=[]"]


@pytest.mark.parametrize("profile", ["nightly", "rollback"])
def test_other_profiles(tree: Tree, profile: str) -> None:
    """Each owes its own checks: nightly all, rollback only what a rollback needs."""
    tree.check('assert False, "nightly finds this"')
    tree.rewrite("checks/test_never_cut.py", 'when="quick"', 'when="nightly"')
    assert tree.gate().word == "deploy"
    ran = tree.run("--profile", profile)
    assert (ran.word, ran.line) == (
        ("hold", "× do not deploy: serialization/never-cut")
        if profile == "nightly"
        else ("deploy", "√ roll back on prod-1")
    )


def test_part_run(tree: Tree) -> None:
    """Whatever holds, and however much of it: no clearance."""
    whole, some = tree.run(), tree.run("-k", "registered")
    assert (whole.code, whole.word, whole.line) == (0, "part", "6 of 6 checks held; this is no clearance")
    assert (some.code, some.word, some.line) == (0, "part", "2 of 6 checks held; this is no clearance")
    assert whole.verdict["runner"] == some.verdict["runner"] == ""
    tree.check("assert False")
    assert tree.run().code == 1


@pytest.mark.parametrize(
    "args", [("-k", "regitsered"), ("-m", "guarantee(severity='none')"), ("--deselect=checks",)], ids=" ".join
)
def test_empty_selection(tree: Tree, args: tuple[str, ...]) -> None:
    """A typo selects nothing, and nothing is exit 5."""
    ran = tree.run(*args)
    assert (ran.code, ran.word) == (5, "unknown"), ran.output


def test_no_checks_at_all(tree: Tree) -> None:
    """A profile without checks proves nothing."""
    (tree.path / "checks" / "test_small.py").unlink()
    ran = tree.gate()
    assert (ran.code, ran.word) == (5, "unknown")


def killed(tree: Tree, how: int, tmp_path: Path) -> tuple[int, dict[str, Any]]:
    """A run that gets this signal while a check runs."""
    mark = tmp_path / "in the check"
    tree.check(f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(30)")
    tree.arrange()
    gate.leave_deploy(tree.reports)
    process = subprocess.Popen(
        gate.command("--profile", "quick", f"--reports={tree.reports}"),
        cwd=tree.path,
        env=gate.environ(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A shell that starts this suite with `&` lets it ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        end = time.monotonic() + 20
        while not mark.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        assert mark.exists()
        assert verdict_in(tree.reports)["state"] == "running"
        os.kill(process.pid, how)
        return process.wait(20), verdict_in(tree.reports)
    finally:
        process.kill()
        process.wait()


def test_killed(tree: Tree, tmp_path: Path) -> None:
    """Rule 6: the old deploy is gone from the first moment on, so a killed run leaves none."""
    code, verdict = killed(tree, signal.SIGKILL, tmp_path)
    assert code != 0
    assert (verdict["verdict"], verdict["state"]) == ("unknown", "running")


def test_check_that_ends_the_process(tree: Tree, tmp_path: Path) -> None:
    """os._exit(0) gives pytest no chance to say 3; nothing that a deploy acts on says deploy all the same."""
    tree.check("import os; os._exit(0)")
    outputs = tmp_path / "outputs"
    ran = tree.gate(env={"GITHUB_OUTPUT": str(outputs)})
    assert (ran.word, ran.verdict["state"]) == ("unknown", "running")
    assert not outputs.exists()


def test_interrupted(tree: Tree, tmp_path: Path) -> None:
    """Ctrl-C, or a cancelled job: exit 2."""
    code, verdict = killed(tree, signal.SIGINT, tmp_path)
    assert code == 2
    assert (verdict["verdict"], verdict["state"], verdict["exit"]) == ("unknown", "finished", 2)


@pytest.mark.parametrize("recording", [HEALTHY, NIGHT], ids=["healthy", "night"])
@pytest.mark.parametrize("profile", ["quick", "nightly", "rollback"])
def test_replay(tmp_path: Path, recording: Path, profile: str) -> None:
    """Rule 8: a recording shows what the verdict would be, and never is one. These are the project's own checks."""
    outputs = tmp_path / "outputs"
    env = {"GITHUB_OUTPUT": str(outputs)}
    ran = gate.run(ROOT, "--profile", profile, f"--seen={recording}", reports=tmp_path / "reports", env=env)
    assert (ran.code, ran.word, ran.verdict["runner"], ran.verdict["runs-on"]) == (1, "replay", "", []), ran.output
    assert ran.line.startswith("RECORDING, no clearance: ")
    assert {"runner-health/reachable[prod-runner-01]", "serialization/one-lock"} <= set(ran.outcomes())
    assert not outputs.exists()
    assert not (tmp_path / "reports" / "metrics.prom").exists()


def test_own_recording_replayed(tree: Tree) -> None:
    """Today's deploy is tomorrow's recording: the same outcomes, and no clearance."""
    live = tree.gate()
    ran = tree.gate(f"--seen={tree.reports / 'seen'}")
    assert (live.word, ran.word, ran.code) == ("deploy", "replay", 1)
    assert ran.line == "RECORDING, no clearance: √ deploy on prod-1"
    assert ran.outcomes() == live.outcomes()


def test_report_only(tree: Tree, tmp_path: Path) -> None:
    """Rule 9: for adoption; it never holds, and never clears."""
    outputs = tmp_path / "outputs"
    good = tree.gate("--report-only")
    tree.check("assert False")
    bad = tree.gate("--report-only", env={"GITHUB_OUTPUT": str(outputs)})
    assert (
        (good.code, good.word, good.verdict["runner"])
        == (bad.code, bad.word, bad.verdict["runner"])
        == (0, "report", "")
    )
    assert outputs.read_text("utf-8").splitlines() == ["verdict=report", "runner=", "runs-on=[]"]


OVERRIDE = ("--override", "checkout is down", "--ticket", "OPS-7")


@pytest.mark.parametrize(
    ("args", "there", "says"),
    [
        (OVERRIDE[:2], True, "an override takes both a reason (--override REASON) and a ticket"),
        (OVERRIDE[2:], True, "an override takes both a reason (--override REASON) and a ticket"),
        (("--override", " ", "--ticket", "OPS-7"), True, "an override takes both"),
        (("--override", "why", "--ticket", "ops"), True, "an override takes both"),
        (OVERRIDE, False, "no `override` stands in this context"),
        ((*OVERRIDE, "--report-only"), True, "do not go together"),
    ],
)
def test_override_that_is_refused(tree: Tree, args: tuple[str, ...], there: bool, says: str) -> None:
    """It takes a reason, a ticket, and a context that knows of it."""
    if there:
        tree.world["override"] = {"environment": "break-glass"}
    ran = tree.gate(*args, env=IN_ACTIONS)
    assert (ran.code, ran.word) == (4, "unknown")
    assert says in ran.output


def test_override_needs_a_profile(tree: Tree) -> None:
    """A part run clears nothing, so there is nothing to override."""
    tree.world["override"] = {"environment": "break-glass"}
    assert tree.run(*OVERRIDE, env=IN_ACTIONS).code == 4


def approval(who: int, state: str = "approved", environment: str = "break-glass") -> dict[str, Any]:
    return {"state": state, "user": {"id": who}, "environments": [{"name": environment}]}


@pytest.mark.parametrize(
    ("env", "approvals", "granted"),
    [
        (IN_ACTIONS, [approval(2)], True),
        (IN_ACTIONS, [approval(1), approval(2, environment="Break-Glass")], True),
        ({}, [approval(2)], False),
        (IN_ACTIONS, [], False),
        (IN_ACTIONS, [approval(1)], False),
        (IN_ACTIONS, [approval(2, "rejected")], False),
        (IN_ACTIONS, [approval(2, environment="production")], False),
        (IN_ACTIONS | {"GITHUB_RUN_ID": "78"}, [approval(2)], False),
    ],
    ids=[
        "granted",
        "also granted",
        "outside of Actions",
        "nobody",
        "the starter",
        "rejected",
        "elsewhere",
        "another run",
    ],
)
def test_override(
    tree: Tree, github: GitHub, tmp_path: Path, env: dict[str, str], approvals: list[dict[str, Any]], granted: bool
) -> None:
    """Rule 9: granted only in a run that a second person approved in the break-glass environment; never called deploy."""
    tree.world["override"] = {"environment": "break-glass"}
    tree.check("assert False")
    github.approvals = approvals
    outputs = tmp_path / "outputs"
    ran = tree.gate(*OVERRIDE, env={**env, "GITHUB_OUTPUT": str(outputs)})
    if granted:
        assert (ran.code, ran.word, ran.verdict["runner"]) == (0, "overridden", "prod-1"), ran.output
        assert (
            ran.line
            == "! overridden (OPS-7: checkout is down): on prod-1, against: × do not deploy: serialization/never-cut"
        )
        assert outputs.read_text("utf-8").splitlines()[0] == "verdict=overridden"
    else:
        assert (ran.code, ran.word, ran.verdict["runner"]) == (1, "hold", ""), ran.output
        assert "; no override: " in ran.line


def test_an_override_is_told_of_by_every_later_run(tree: Tree, github: GitHub) -> None:
    """With its reason, its ticket, who and when: in the terminal, on the page and in the summary."""
    tree.world["override"] = {"environment": "break-glass"}
    tree.check("assert False")
    github.approvals = [approval(2)]
    assert tree.gate(*OVERRIDE, env=IN_ACTIONS).word == "overridden"
    line = "! overridden (OPS-7: checkout is down): on prod-1, against: × do not deploy: serialization/never-cut"
    who = "run 77, started by user 1, approved by user 2"
    tree.check("assert True")
    for ran in (tree.gate(), tree.run("-k", "never-cut")):
        told = " ".join(ran.output.split())
        assert re.search(rf"overridden in the last 30 days: 20\S+ \S+Z, profile quick, {who}: {re.escape(line)}", told)
        assert who in (tree.reports / "summary.md").read_text("utf-8")
        page = (tree.reports / "report.html").read_text("utf-8")
        assert who in page and "Overridden in the last 30 days" in page
    quiet = tree.gate("-q")
    assert quiet.output.strip().count("\n") == 0, "one line is one line"


def test_override_of_a_crash(tree: Tree, github: GitHub) -> None:
    """What failed by itself was not judged; there is nothing to go against."""
    tree.world["override"] = {"environment": "break-glass"}
    tree.check('{}["lock"]')
    github.approvals = [approval(2)]
    ran = tree.gate(*OVERRIDE, env=IN_ACTIONS)
    assert (ran.code, ran.verdict["runner"]) == (3, "")


def test_no_context(tree: Tree) -> None:
    """Nothing is looked at by guess, and the manual is no world."""
    tree.arrange()
    (tree.path / "contexts" / "small.yml").rename(tree.path / "contexts" / "example.yml")
    ran = gate.run(tree.path, "--profile", "quick", reports=tree.reports)
    assert (ran.code, ran.word) == (4, "unknown")
    assert "which context? Give --context NAME or set PREFLIGHT_CONTEXT; contexts/ has none" in ran.line


def test_two_contexts(tree: Tree) -> None:
    """Which one is not guessed either; an option or the environment says it."""
    tree.write("contexts/large.yml", "version: 1\n")
    ran = tree.gate()
    assert (ran.code, ran.word) == (4, "unknown")
    assert "which context? Give --context NAME or set PREFLIGHT_CONTEXT; contexts/ has large, small" in ran.line
    assert tree.gate(env={"PREFLIGHT_CONTEXT": "small"}).word == "deploy"
    assert tree.gate("--context", "small", env={"PREFLIGHT_CONTEXT": "large"}).word == "deploy"


@pytest.mark.parametrize(
    ("name", "says"),
    [("smal", 'there is no contexts/smal.yml; did you mean "small"?'), ("contexts/smal.yml", "there is no such file")],
)
def test_unknown_context(tree: Tree, name: str, says: str) -> None:
    """With the nearest right word."""
    ran = tree.gate(f"--context={name}")
    assert (ran.code, ran.word) == (4, "unknown")
    assert says in ran.line


def test_token_is_missing(tree: Tree) -> None:
    """Exit 4 and what to set."""
    ran = tree.gate(env={"PREFLIGHT_GITHUB_TOKEN": ""})
    assert (ran.code, ran.word) == (4, "unknown")
    assert "PREFLIGHT_GITHUB_TOKEN is not set" in ran.line


def test_running_is_valid_by_the_schema(tmp_path: Path) -> None:
    """Also an unfinished verdict.json is one; and the schema admits no deploy that is not finished."""
    import jsonschema

    gate.leave_deploy(tmp_path)
    assert verdict_in(tmp_path)["verdict"] == "deploy"
    (tmp_path / "verdict.json").write_text(json.dumps(gate.OLD | {"state": "running"}), "utf-8")
    with pytest.raises(jsonschema.ValidationError):
        verdict_in(tmp_path)
