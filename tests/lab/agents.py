"""The lab's runner agent as its tests use it: a directory of a registered runner, and its real processes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.loopback import Loopback
from lab.world import Host, Lab
from tests.lab.standin import RUNNER_KEY, Standin

NAME = "prod-runner-01"


class Agent:
    """A runner's directory, made as the loopback engine makes one, and its processes."""

    def __init__(self, place: Path, github: Standin) -> None:
        self.github = github
        lab = Lab("loopback", root=place, address="127.0.0.1")
        lab.api_port = int(github.url.rpartition(":")[2])
        self.directory = place / ".lab" / "hosts" / NAME / "actions-runner"
        host = Host(NAME, 1, "127.0.0.1", 1, str(self.directory), "me", "me")
        lab.github_state.mkdir(parents=True)
        (lab.github_state / "runner.key").write_text(RUNNER_KEY)
        (lab.state / "ssh").mkdir()
        for name in (f"host_{NAME}", "id_ed25519.pub"):
            (lab.state / "ssh" / name).write_text("no key\n")
        Loopback().make_files(lab, host, 101)
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(self.directory / "bin" / "Runner.Listener"), "run"], cwd=self.directory, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment},
        )  # fmt: skip
        self.processes.append(process)
        return process

    def log(self, kind: str = "Runner") -> str:
        return "".join(path.read_text() for path in sorted((self.directory / "_diag").glob(f"{kind}_*.log")))

    def job(self, *scripts: str, **more: Any) -> int:
        wish = {"labels": ["self-hosted", NAME], "steps": [{"name": s[:20], "run": s} for s in scripts], **more}
        return int(self.github.order("POST", "jobs", wish)["job_id"])

    def until(self, job: int, *states: str) -> Any:
        return eventually(
            lambda: found if (found := self.github.order("GET", f"jobs/{job}"))["state"] in states else None
        )

    def end(self) -> None:
        for each in self.processes:
            each.kill()
            each.communicate()
        subprocess.run(["pkill", "-KILL", "-f", f"^{self.directory}/bin/Runner.Worker"], check=False)


def eventually(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (value := found()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return value
