"""The lab's GitHub as people and programs use it: pushes, dispatches, approvals, and what became of a run."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import target
from lab.github.runs import HOSTED
from lab.world import REPOSITORY, Lab
from tests.whole.conftest import Checkout

SECONDS = 120
MAY = {"actions": "write", "deployments": "write"}
ORDERS, APPROVES = "a-release-managers-token", "an-approvers-token"


@dataclass
class Ended:
    """A job that has ended. `steps`: the conclusion of each by its name; `runner` who ran it."""

    result: str
    runner: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    log: str = ""


class Actions:
    """One lab with a control runner and the project's workflows in its repository."""

    def __init__(self, checkout: Checkout, lab: Lab) -> None:
        self.checkout, self.lab = checkout, lab
        for token, login in ((ORDERS, "acme-release-manager"), (APPROVES, "acme-release-lead")):
            lab.request("POST", "/_lab/tokens", {"token": token, "permissions": MAY, "login": login})

    def ask(self, method: str, path: str, body: object = None, token: str = ORDERS) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.lab.api_url}/repos/{REPOSITORY}/actions/{path}"
        request = urllib.request.Request(url, data, {"Authorization": f"Bearer {token}"}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()!r}") from None
        return json.loads(text) if text.strip() else None

    def push(self, message: str, files: Mapping[str, str]) -> tuple[str, list[int]]:
        """The commit's sha, and the runs that it started."""
        told = self.lab.request("POST", "/_lab/push", {"message": message, "files": dict(files)})
        return told["sha"], told["runs"]

    def dispatch(self, workflow: str, **inputs: str) -> int:
        body = {"ref": "main", "inputs": inputs, "return_run_details": True}
        return int(self.ask("POST", f"workflows/{workflow}.yml/dispatches", body)["workflow_run_id"])

    def run(self, workflow: str, **inputs: str) -> dict[str, Ended]:
        return self.ended(self.dispatch(workflow, **inputs))

    def ended(self, run: int) -> dict[str, Ended]:
        """What became of each job of a run, by its name; what waits for an approval gets it."""
        deadline = time.monotonic() + SECONDS
        while (told := self.ask("GET", f"runs/{run}"))["status"] != "completed":
            assert time.monotonic() < deadline, (told["status"], self.ask("GET", f"runs/{run}/jobs"))
            if told["status"] == "waiting":
                self.approve(run)
            time.sleep(0.3)
        return {job["name"]: self.job(job) for job in self.ask("GET", f"runs/{run}/jobs")["jobs"]}

    def approve(self, run: int) -> None:
        wanted = [it["environment"]["id"] for it in self.ask("GET", f"runs/{run}/pending_deployments")]
        body = {"environment_ids": wanted, "state": "approved", "comment": ""}
        self.ask("POST", f"runs/{run}/pending_deployments", body, APPROVES)

    def job(self, job: Mapping[str, Any]) -> Ended:
        ended = Ended(job["conclusion"], job["runner_name"] or "")
        # Of a job on a machine of GitHub's the lab's door knows nothing: the stand-in lets it end well at once.
        if ended.runner and ended.runner != HOSTED[1]:
            told = self.lab.request("GET", f"/_lab/jobs/{job['id']}")
            ended.outputs, ended.log = told["outputs"], "\n".join(told["log"])
            ended.steps = {step["name"]: step["conclusion"] for step in told["steps"]}
        return ended

    def live(self) -> str:
        """The release that production runs, by its link; "" for none."""
        return Path(os.readlink(target.current(self.lab))).name

    def served(self) -> str:
        """The version that production answers with."""
        done = subprocess.run(
            ["sh", "-c", target.asking(self.lab)], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout.strip()
