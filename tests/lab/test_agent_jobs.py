"""Workflows from their dispatch to their end: a real stand-in, and the lab's runner agent as real processes."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lab.agent.used import Failed, Uses, chosen
from tests.lab.agents import Agent, eventually
from tests.lab.standin import REPO

WRITER = "a-token-that-may-write"
FILE = ".github/workflows/x.yml"
HERE = "runs-on: [self-hosted, prod-runner-01]"


def pushed(agent: Agent, source: str, **files: str) -> int:
    """The workflow on main, dispatched. The run's id."""
    agent.github.order("POST", "push", {"files": {FILE: source, **files}, "message": "[skip ci]"})
    agent.github.order("POST", "tokens", {"token": WRITER, "permissions": {"actions": "write"}})
    body = {"ref": "main", "return_run_details": True}
    headers = {"Authorization": f"Bearer {WRITER}"}
    reply = agent.github.call("POST", f"{REPO}/actions/workflows/x.yml/dispatches", body, headers)
    assert reply.status == 200, reply.data
    return int(reply.body["workflow_run_id"])


def ended(agent: Agent, run: int) -> dict[str, dict[str, Any]]:
    """What the lab's door tells of each job of a run, by name, once all have ended."""
    eventually(lambda: agent.github.get(f"{REPO}/actions/runs/{run}")["status"] == "completed")
    jobs = agent.github.get(f"{REPO}/actions/runs/{run}/jobs")["jobs"]
    return {job["name"]: agent.github.order("GET", f"jobs/{job['id']}") for job in jobs if job["runner_name"]}


def steps(told: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["conclusion"] for step in told["steps"]}


def said(told: dict[str, Any]) -> list[str]:
    return [line.partition("Z ")[2] for line in told["log"]]


HANDED = f"""
on: workflow_dispatch
env: {{TOP: top}}
jobs:
  first:
    {HERE}
    env: {{OWN: "${{{{ github.ref_name }}}}"}}
    outputs:
      word: ${{{{ steps.one.outputs.word }}}}
      lines: ${{{{ steps.one.outputs.lines }}}}
      hidden: ${{{{ steps.one.outputs.hidden }}}}
      kept: ${{{{ steps.keep.outputs.artifact-id }}}}
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
        with: {{persist-credentials: false}}
      - id: one
        name: One for ${{{{ env.OWN }}}}
        run: |
          echo "word=$TOP-$OWN" >>"$GITHUB_OUTPUT"
          printf 'lines<<E\\na\\nb\\nE\\n' >>"$GITHUB_OUTPUT"
          echo "hidden=$KEY" >>"$GITHUB_OUTPUT"
          echo "LATER=later" >>"$GITHUB_ENV"
          mkdir -p "$RUNNER_TEMP/tools" && printf '#!/bin/sh\\necho a tool\\n' >"$RUNNER_TEMP/tools/ours" && chmod +x "$RUNNER_TEMP/tools/ours"
          echo "$RUNNER_TEMP/tools" >>"$GITHUB_PATH"
          echo "## All is well, $KEY" >>"$GITHUB_STEP_SUMMARY"
        env: {{KEY: "${{{{ secrets.CODECOV_TOKEN }}}}"}}
      - name: Two
        run: echo "$LATER ${{{{ steps.one.outputs.word }}}} ${{{{ steps.one.outcome }}}} $(ours) ${{{{ runner.name }}}} ${{{{ job.status }}}}"
      - {{id: bad, name: Bad, run: exit 3, continue-on-error: true}}
      - name: Three
        if: steps.bad.outcome == 'failure' && steps.bad.conclusion == 'success'
        working-directory: sub
        run: pwd; cat "$GITHUB_EVENT_PATH"
      - {{name: Never, if: failure(), run: echo never}}
      - {{name: Python, shell: python, run: 'import os; print("from", os.environ["GITHUB_JOB"])'}}
      - {{id: keep, name: Keep, uses: actions/upload-artifact@v4, with: {{name: "kept-${{{{ github.run_attempt }}}}", path: sub, retention-days: 1}}}}
  second:
    needs: first
    {HERE}
    steps:
      - {{uses: actions/download-artifact@v4, with: {{name: "kept-${{{{ github.run_attempt }}}}", path: got}}}}
      - name: Read
        run: cat got/file.txt; echo "${{{{ needs.first.outputs.word }}}}/${{{{ needs.first.outputs.lines }}}}/${{{{ needs.first.outputs.hidden }}}}"
"""


def test_what_steps_and_jobs_hand_on(agent: Agent) -> None:
    agent.start()
    agent.github.order("PUT", "secrets", {"CODECOV_TOKEN": "a-true-secret"})
    run = pushed(agent, HANDED, **{"sub/file.txt": "from the commit\n"})
    told = ended(agent, run)
    first, second = told["first"], told["second"]
    assert first["conclusion"] == second["conclusion"] == "success", first["log"] + second["log"]
    assert first["outputs"] == {"word": "top-main", "lines": "a\nb", "kept": first["outputs"]["kept"]}
    assert "##[warning]Skip output 'hidden' since it may contain secret." in said(first)
    assert first["summaries"] == ["## All is well, ***\n"]
    assert steps(first) | {"Bad": "success", "Never": "skipped", "One for main": "success"} == steps(first)
    assert "later top-main success a tool prod-runner-01 success" in said(first)
    assert any(line.endswith("/_work/widgets/widgets/sub") for line in said(first))
    assert any('"private": true' in line for line in said(first)) and "from first" in said(first)
    assert {"from the commit", "top-main/a", "b/"} <= set(said(second))
    assert "a-true-secret" not in "".join(first["log"]) + agent.log("Worker")
    (kept,) = agent.github.get(f"{REPO}/actions/runs/{run}/artifacts")["artifacts"]
    assert (kept["name"], str(kept["id"])) == ("kept-1", first["outputs"]["kept"])


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("{uses: actions/checkout@v4, with: {submodules: true}}", "does not know submodules"),
        ("{uses: actions/checkout@v4, with: {ref: nowhere}}", "No commit found for the ref nowhere"),
        ("{uses: actions/download-artifact@v4, with: {name: gone}}", "Artifact not found for name: gone"),
        ("{uses: actions/upload-artifact@v4, with: {path: none, if-no-files-found: error}}", "No files were found"),
        ("{run: 'echo word >>\"$GITHUB_OUTPUT\"'}", "Unable to process file command 'output' successfully. Invalid format"),
        ("{run: 'echo ${{ steps.one.outputs }', if: always()}", "${{ steps.one.outputs }"),
        ("{run: x, if: nothing.there == 1}", "Unrecognized named-value: 'nothing'"),
        ("{run: sleep 60, timeout-minutes: 0.01}", "has timed out after 0.01 minutes"),
    ],
)  # fmt: skip
def test_a_step_that_cannot_be_done_fails_and_says_why(agent: Agent, step: str, says: str) -> None:
    agent.start()
    source = f"on: workflow_dispatch\njobs:\n  a:\n    {HERE}\n    steps:\n      - {step}\n      - {{name: Next, run: echo next}}\n"
    told = ended(agent, pushed(agent, source))["a"]
    assert told["conclusion"] == "failure" and says in "\n".join(told["log"]), told["log"]
    assert [step["conclusion"] for step in told["steps"][1:3]] == ["failure", "skipped"]


def test_a_job_that_takes_too_long_is_cancelled_and_its_last_words_are_heard(agent: Agent) -> None:
    agent.start()
    source = f"""
on: workflow_dispatch
jobs:
  a:
    {HERE}
    timeout-minutes: 0.03
    steps:
      - {{id: slow, run: exec sleep 60}}
      - name: Undo
        if: (failure() || cancelled()) && steps.slow.outcome != 'skipped'
        run: echo "undone after ${{{{ steps.slow.outcome }}}}"
      - {{name: Other, run: echo never}}
"""
    told = ended(agent, pushed(agent, source))["a"]
    assert told["conclusion"] == "cancelled", "\n".join(told["log"]) + agent.log("Worker")[-3000:]
    assert "undone after cancelled" in said(told)
    assert "has exceeded the maximum execution time of 0.03 minutes" in "\n".join(told["log"])
    assert steps(told)["Other"] == "skipped"


# The actions by themselves


class Wire:
    """What the stand-in would say."""

    def __init__(self, **answers: tuple[int, dict[str, object]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []

    def post(self, path: str, body: Any) -> tuple[int, dict[str, object]]:
        self.asked.append((path, body))
        return self.answers[path.rpartition("/")[2]]


def uses(tmp_path: Path, wire: Wire) -> Uses:
    workspace = tmp_path / "_work" / "widgets" / "widgets"
    workspace.mkdir(parents=True, exist_ok=True)
    return Uses(wire, 1, "r", "acme/widgets", workspace, lambda _line: None)  # type: ignore[arg-type]


def source(**files: str) -> tuple[int, dict[str, object]]:
    return 200, {"sha": "a" * 40, "files": {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}}  # fmt: skip


def test_a_checkout_lays_down_the_commit_and_keeps_what_it_is_told_to(tmp_path: Path) -> None:
    one = uses(tmp_path, Wire(source=source(**{"run.sh": "#!/bin/sh\n", "a/b": "1", "gone": "x"})))
    one.run("actions/checkout@v4", {})
    assert (one.workspace / "run.sh").stat().st_mode & 0o111
    before = (one.workspace / "a/b").stat().st_mtime_ns
    (one.workspace / ".venv").mkdir()
    (one.workspace / ".venv/run").touch()
    two = uses(tmp_path, Wire(source=source(**{"run.sh": "#!/bin/sh\ntrue\n", "a/b": "1"})))
    two.run("actions/checkout@v4", {"clean": "false"})
    assert (two.workspace / ".venv/run").exists() and not (two.workspace / "gone").exists()
    assert (two.workspace / "a/b").stat().st_mtime_ns == before, "make would take it for newer"
    assert (two.workspace / "run.sh").read_text() == "#!/bin/sh\ntrue\n"
    (two.workspace / "link").symlink_to(tmp_path)
    two.run("actions/checkout@v4", {"clean": "true"})
    assert sorted(path.name for path in two.workspace.rglob("*")) == ["a", "b", "run.sh"]
    assert tmp_path.exists()
    for given in ({"path": "../.."}, {"clean": "perhaps"}, {"repository": "acme/other"}):
        with pytest.raises(Failed):
            two.run("actions/checkout@v4", given)


def tree(tmp_path: Path) -> Path:
    for name in ("out/a.txt", "out/sub/b.txt", "out/.hidden", "other/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "hidden", "names"),
    [
        ("out", False, ["a.txt", "sub/b.txt"]),
        ("out", True, [".hidden", "a.txt", "sub/b.txt"]),
        ("out/a.txt", False, ["a.txt"]),
        ("out/*.txt", False, ["a.txt"]),
        ("out/**/*.txt\n!out/a.txt", False, ["sub/b.txt"]),
        ("out\nother/c.txt", False, ["other/c.txt", "out/a.txt", "out/sub/b.txt"]),
        ("none", False, []),
    ],
)
def test_what_an_upload_takes_and_how_it_is_called_in_the_archive(
    tmp_path: Path, paths: str, hidden: bool, names: list[str]
) -> None:
    root, found = chosen(tree(tmp_path), paths, hidden)
    assert [path.relative_to(root).as_posix() for path in found] == names


def test_an_artifact_comes_out_as_it_went_in(tmp_path: Path) -> None:
    wire = Wire(upload=(201, {"id": 7, "digest": "sha256:ab", "size": 1}))
    one = uses(tmp_path, wire)
    tree(one.workspace)
    assert one.run("actions/upload-artifact@v4", {"name": "n", "path": "out"}) == {
        "artifact-id": "7",
        "artifact-digest": "ab",
    }
    body = wire.asked[0][1]["zip"]
    wire.answers = {"download": (200, {"artifacts": [{"name": "n", "zip": body}, {"name": "m", "zip": body}]})}
    one.run("actions/download-artifact@v4", {"path": "got"})
    assert (one.workspace / "got/m/sub/b.txt").read_text() == "out/sub/b.txt"
    one.run("actions/download-artifact@v4", {"path": "flat", "merge-multiple": "true"})
    assert (one.workspace / "flat/a.txt").exists()


def test_an_archive_that_leads_out_of_its_place_stays_in_it(tmp_path: Path) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("../../../escaped", "x")
    one = uses(tmp_path, Wire(download=(200, {"artifacts": [{"name": "n", "zip": base64.b64encode(body.getvalue()).decode()}]})))  # fmt: skip
    one.run("actions/download-artifact@v4", {"name": "n", "path": "got"})
    assert [path.name for path in tmp_path.rglob("escaped")] == ["escaped"]
    assert (one.workspace / "got/escaped").exists()
