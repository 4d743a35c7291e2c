"""The lab's control runner: it comes when asked, runs what a workflow asks of it, and goes with the lab, also when killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import context, control, monitor, world
from lab.world import Lab
from tests.lab.copies import Copy, copied

pytestmark = [pytest.mark.lab]
FILE = """
on: workflow_dispatch
jobs:
  gate:
    runs-on: [self-hosted, preflight-control]
    outputs: {said: "${{ steps.one.outputs.said }}"}
    steps:
      - {uses: actions/checkout@v4, with: {clean: false}}
      - id: one
        run: |
          make --silent .venv/run
          .venv/bin/python -m pytest --version
          .venv/bin/python -m fixtures.doctor --help >/dev/null
          grep -q "token: {env: PREFLIGHT_GITHUB_TOKEN}" contexts/production.yml
          echo "said=$TOKEN $(env | grep -c ^PREFLIGHT_)" >>"$GITHUB_OUTPUT"
        env: {TOKEN: "${{ secrets.PREFLIGHT_GITHUB_TOKEN != '' }}"}
"""


@pytest.fixture(params=["loopback", pytest.param("nspawn", marks=pytest.mark.slow)])
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Copy]:
    with copied(str(request.param), tmp_path / "a checkout") as one:
        yield one


def known(copy: Copy) -> Lab:
    found = world.load(copy.root)
    assert found is not None
    return found


def ended(lab: Lab) -> dict[str, Any]:
    """The only job of a dispatch, as the lab's door tells of it at its end."""
    token = "a-token-that-may-write"
    lab.request("POST", "/_lab/tokens", {"token": token, "permissions": {"actions": "write"}})
    lab.request("POST", "/_lab/push", {"message": "[skip ci]", "files": {".github/workflows/x.yml": FILE}})
    lab.token_file.write_text(token)
    lab.request("POST", f"/repos/{world.REPOSITORY}/actions/workflows/x.yml/dispatches", {"ref": "main"})
    deadline = time.monotonic() + 60
    while True:
        (job,) = lab.request("GET", "/_lab/jobs")
        if job["state"] == "done":
            return dict(lab.request("GET", f"/_lab/jobs/{job['job_id']}"))
        assert time.monotonic() < deadline, job
        time.sleep(0.2)


def test_it_comes_runs_and_goes_with_the_lab(copy: Copy) -> None:
    before = copy.on_the_machine()
    assert "no lab is up" in copy.run("control", code=1)
    copy.run("up")
    assert control.NAME not in copy.run("status")
    assert f"{control.NAME} is online" in copy.run("control")
    lab = known(copy)
    pid = (lab.state / "log" / f"{control.SERVICE}.pid").read_text()
    copy.run("control")
    assert (lab.state / "log" / f"{control.SERVICE}.pid").read_text() == pid, "it is there already"
    assert f"{control.NAME}  up" in copy.run("status")
    done = ended(lab)
    assert (done["conclusion"], done["runner"]) == ("success", control.NAME), "\n".join(done["log"])
    assert done["outputs"] == {"said": "true 0"}, "nothing of this machine's own environment is there"
    copy.run("down")
    assert copy.on_the_machine() == before


@pytest.mark.slow
def test_it_is_killed(copy: Copy) -> None:
    before = copy.on_the_machine()
    copy.run("up")
    started = time.monotonic()
    copy.run("control")
    whole = time.monotonic() - started
    for step in range(1, 8):
        copy.run("down")
        copy.run("up")
        process = copy.start("control")
        time.sleep(whole * step / 7)
        process.kill()
        process.communicate(timeout=60)
        if step % 2:
            copy.run("control")
            assert ended(known(copy))["conclusion"] == "success"
    copy.run("down")
    assert copy.on_the_machine() == before


def test_its_context_stands_in_another_place_than_the_labs(tmp_path: Path) -> None:
    lab = Lab("loopback", root=tmp_path)
    monitor.directory(lab).mkdir(parents=True)
    (monitor.directory(lab) / "port").write_text("9090\n")
    own, elsewhere = context.context_text(lab), context.context_text(lab, elsewhere=True)
    assert "token: {file: token}" in own and "config: ssh_config" in own
    assert f"config: {lab.ssh_config}" in elsewhere and "env: PREFLIGHT_GITHUB_TOKEN" in elsewhere
    assert str(lab.token_file) not in elsewhere
