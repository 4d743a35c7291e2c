"""The workflows and the action as files: what the strictest auditor says, what their scripts do, what is documented."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import gate, permissions
from tests.worlds import ROOT

WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
FRESH = yaml.safe_load((ROOT / ".github/actions/fresh/action.yml").read_text())
# What it prints is the test itself, and takes no value from anybody; the lab's runners run it as it stands.
INLINE = frozenset({"secret-canary/canary"})
PROGRAMS = ("python -m pytest", "python3 -m fixtures.fresh", "python -m reports.issue", "python -m reports.textfile")


def test_the_strictest_auditor_finds_nothing_that_has_no_reason() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "zizmor"), "--offline", "--no-progress", "--persona", "auditor", "--format", "json",
         "--config", str(ROOT / ".github/zizmor.yml"), str(ROOT / ".github"), str(ROOT / "action.yml"),
         str(ROOT / ".github/actions/fresh/action.yml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    found = [f"{f['ident']}: {f['locations'][0]['symbolic']['key']}" for f in json.loads(done.stdout)]
    assert found == [], done.stderr


def test_every_exception_says_why() -> None:
    lines = (ROOT / ".github/zizmor.yml").read_text().splitlines()
    for number, line in enumerate(lines):
        if line.strip() == "ignore:":
            assert lines[number + 1].strip().startswith("# "), f"line {number + 1} has no reason"


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, file in WORKFLOWS.items():
        for job, body in file["jobs"].items():
            for step in body.get("steps", []):
                yield f"{name}/{job}", step
    for name, action in (("action", ACTION), ("fresh", FRESH)):
        for step in action["runs"]["steps"]:
            yield name, step


@pytest.mark.parametrize(("where", "step"), list(steps()))
def test_every_step_is_pinned_and_its_shell_is_somewhere_that_tests_run(where: str, step: dict[str, Any]) -> None:
    if "uses" in step:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", step["uses"]), f"{where}: {step['uses']}"
        return
    if where in INLINE:
        assert "${{" not in step["run"]
        return
    for line in filter(None, (line.strip() for line in step["run"].splitlines())):
        ours = re.match(
            r'(echo |sleep |bash (\.ci/run|"\$ACTION/\.ci/gate")|\.ci/gate|make |scripts/(release|build)\.sh)', line
        )
        assert ours or any(program in line for program in PROGRAMS), f"{where}: {line}"
        assert "${{" not in line, f"{where}: a value comes into the script as text"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_file_is_readable_on_a_screen_or_two(name: str) -> None:
    assert len((ROOT / ".github/workflows" / f"{name}.yml").read_text().splitlines()) <= 90
    assert WORKFLOWS[name]["permissions"] == {}
    for job in WORKFLOWS[name]["jobs"].values():
        assert "permissions" in job or not any("uses" in step for step in job.get("steps", []))
        assert "uses" in job or "timeout-minutes" in job


def test_nothing_is_uploaded_from_a_public_repository_but_the_verdict() -> None:
    for where, step in steps():
        if "upload-artifact" in step.get("uses", "") and not step["with"]["path"].endswith("verdict.json"):
            assert "github.event.repository.private" in step["if"], where


def test_every_input_and_output_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for kind in ("inputs", "outputs"):
        for name, body in ACTION[kind].items():
            assert body["description"].endswith("."), name
            assert f"`{name}`" in text, f"README.md does not name the {kind[:-1]} {name}"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str], gate.GitHub]]:
    """The suite at an action's own path, and a workspace of somebody else's with a context of its own."""
    action, workspace = tmp_path / "_actions" / "runner-preflight", tmp_path / "work space"
    gate.plant(action)
    (action / ".ci").mkdir()
    shutil.copy2(ROOT / ".ci/gate", action / ".ci/gate")
    shutil.copy2(ROOT / "Makefile", action / "Makefile")
    shutil.copy2(ROOT / "requirements.txt", action / "requirements.txt")
    (action / ".venv/bin").mkdir(parents=True)
    program = action / ".venv/bin/python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    (action / ".venv/run").touch()
    (workspace / "contexts").mkdir(parents=True)
    with gate.github() as served:
        (workspace / "contexts/ours.yml").write_text(yaml.safe_dump(gate.context(served.url)))
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PREFLIGHT_GITHUB_TOKEN": "ghp_" + "x" * 36}
        environ |= {"GITHUB_WORKSPACE": str(workspace), "GITHUB_OUTPUT": str(tmp_path / "out")}
        environ |= {"REPORTS": str(tmp_path / "temp" / "preflight"), "CONTEXT": "contexts/ours.yml"}
        yield action, environ, served


def run(action: Path, environ: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    where = environ["GITHUB_WORKSPACE"]
    command = ["bash", str(action / ".ci/gate")]
    return subprocess.run(
        command, cwd=where, env={**environ, **more}, capture_output=True, text=True, timeout=60, check=False
    )


def outputs(environ: dict[str, str]) -> dict[str, str]:
    lines = Path(environ["GITHUB_OUTPUT"]).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("context", ["contexts/ours.yml", "ours"])
def test_the_action_works_from_its_own_path(elsewhere: Any, context: str) -> None:
    action, environ, _ = elsewhere
    done = run(action, environ, CONTEXT=context)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().splitlines()[-1] == "√ deploy on prod-1"
    assert outputs(environ) == {"verdict": "deploy", "runner": "prod-1", "runs-on": '["self-hosted", "prod-1"]'}
    assert (Path(environ["REPORTS"]) / "verdict.json").is_file()
    assert not (action / "reports/latest").exists(), "nothing is written at the action's own path"


def test_an_absolute_path_is_taken_as_it_is(elsewhere: Any) -> None:
    action, environ, _ = elsewhere
    assert run(action, environ, CONTEXT=f"{environ['GITHUB_WORKSPACE']}/contexts/ours.yml").returncode == 0


def test_the_exit_code_is_pytests(elsewhere: Any) -> None:
    action, environ, served = elsewhere
    served.register("prod-3", labels=("self-hosted", "production", "prod-1"))
    assert run(action, environ).returncode == 1
    assert run(action, environ, CONTEXT="none.yml").returncode == 4
    done = run(action, environ, REPORT_ONLY="true")
    assert done.returncode == 0 and outputs(environ)["verdict"] == "report"


def test_an_override_is_passed_on_whole(elsewhere: Any) -> None:
    """Its reason is data: nothing in it is a shell's business."""
    action, environ, _ = elsewhere
    done = run(action, environ, OVERRIDE='$(touch pwned) "; exit 0', TICKET="INFRA-472")
    assert done.returncode == 4 and "no `override` stands in this context" in done.stderr + done.stdout
    done = run(action, environ, OVERRIDE="", TICKET="INFRA-472")
    assert done.returncode == 4 and "takes both a reason" in done.stderr + done.stdout
    assert not list(Path(environ["HOME"]).rglob("pwned"))


def test_the_table_of_permissions_is_what_the_checks_ask_for() -> None:
    assert permissions.table() in (ROOT / "README.md").read_text("utf-8"), "python -m tests.permissions"


def readme(name: str) -> str:
    """A file that the README shows, with an owner and a commit in it."""
    found = re.search(rf"<!-- {re.escape(name)} -->\n```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert found, f"README.md shows no {name}"
    return found[1].replace("OWNER/", "acme/").replace("@SHA", f"@{'5' * 40}")


def test_the_two_files_of_the_readme_are_what_the_gate_asks_for(tmp_path: Path) -> None:
    """Who follows it to the letter has a deploy that every check of the files finds right."""
    place = tmp_path / "repo" / ".github" / "workflows"
    place.mkdir(parents=True)
    for name in ("preflight.yml", "deploy.yml"):
        (place / name).write_text(readme(name))
    declared = yaml.safe_load(readme("of the context"))
    world = gate.context("https://api.github.com") | {"selectors": declared["selectors"]}
    world["deploy"] = {
        **world["deploy"],
        "workflow": ".github/workflows/deploy.yml",
        "job": "deploy",
        **declared["deploy"],
    }
    (tmp_path / "world.yml").write_text(yaml.safe_dump(world))
    command = [
        sys.executable,
        "-m",
        "pytest",
        f"--workflows={tmp_path / 'repo'}",
        f"--context={tmp_path / 'world.yml'}",
        f"--reports={tmp_path / 'reports'}",
        "-v",
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=gate.environ(tmp_path), capture_output=True, text=True, timeout=60, check=False
    )
    checks = json.loads((tmp_path / "reports" / "verdict.json").read_text())["checks"]
    held = {check["check"] for check in checks if check["outcome"] == "held"}
    assert {
        "serialization/gate-fresh",
        "serialization/one-lock",
        "failover/hosted-never",
        "secret-masking/token-least",
    } <= held
    # A rollback is a file of its own, which the README leaves to the one that is here.
    others = [
        c for c in checks if c["outcome"] not in ("held", "not applicable") and c["check"] != "rollback/path-alive"
    ]
    assert not [(c["check"], c["saw"]) for c in others], done.stdout


@pytest.mark.parametrize(
    ("word", "runner", "code"), [("deploy", "prod-1", 0), ("deploy", "prod-2", 1), ("hold", "", 1)]
)
def test_the_fresh_action_works_from_its_own_path(tmp_path: Path, word: str, runner: str, code: int) -> None:
    """On a runner that has nothing but Python, from a workspace with a blank."""
    workspace = tmp_path / "work space"
    (workspace / "preflight").mkdir(parents=True)
    (workspace / "preflight/verdict.json").write_text(
        json.dumps(
            {"format": 1, "state": "finished", "verdict": word, "profile": "quick", "runner": runner, "line": "x",
             "run": {"id": "7", "attempt": "1"}, "time": "2026-01-01T00:00:00+00:00", "expires": "2999-01-01T00:00:00+00:00"}
        )
    )  # fmt: skip
    (step,) = FRESH["runs"]["steps"]
    given = {name.upper(): body["default"] for name, body in FRESH["inputs"].items()}
    environ = {
        "PATH": os.environ["PATH"],
        "ACTION": str(ROOT / ".github/actions/fresh"),
        "GITHUB_WORKSPACE": str(workspace),
    }
    environ |= given | {"GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1", "RUNNER_NAME": "prod-1"}
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=workspace,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
