"""A small driver of this project's own workflow files: their `run:` steps, in order, where they would run.

The preflight's steps run on this machine, which is the control runner. A job that asks for labels is put into the stand-in's
queue, and whichever of the lab's runners takes it runs its steps: checkout, the fresh verdict, deploy, verify, undo. Between
them the driver does what GitHub does: needs, expressions, outputs, artifacts. An approval is nobody's here.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab import release
from lab.engine import engine_named
from lab.github.expressions import condition, text, whole
from lab.world import Lab
from tests.whole.conftest import Checkout

SECONDS = 120
SECRETS = {"PREFLIGHT_GITHUB_TOKEN": "", "DEPLOY_KEY": "deploy-key-of-the-lab-9f2c", "GITHUB_TOKEN": "x"}
PLACE = "/home/runner/widgets"
"""Where production is, on the host that deploys it."""
RELEASE = "scripts/release.sh"
ARTIFACT = "dist/release.tar"
STEPS_OUTCOME = re.compile(r"\s*&&\s*steps\.\w+\.outcome != 'skipped'")


@dataclass
class Ended:
    """A job that has ended. `steps`: the conclusion of each by its name; `runner` who ran it."""

    result: str
    runner: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    log: str = ""


class Drive:
    """Runs of one checkout's workflows. `release` is the text of scripts/release.sh, which stands for a repository's own."""

    def __init__(self, checkout: Checkout, lab: Lab, release: str) -> None:
        self.checkout, self.lab, self.release = checkout, lab, release
        self.run, self.attempt = 4700, 1
        self.artifacts: dict[str, str] = {}

    def workflow(self, name: str, sha: str, **inputs: str) -> dict[str, Ended]:
        """What became of each job, by its id."""
        self.run, self.artifacts = self.run + 1, {}
        return self._jobs(self.read(name), sha, inputs)

    def read(self, name: str) -> dict[Any, Any]:
        # YAML reads the key `on` as a truth.
        found: dict[Any, Any] = yaml.safe_load((self.checkout.root / ".github/workflows" / f"{name}.yml").read_text())
        return found

    def _jobs(self, file: Mapping[Any, Any], sha: str, inputs: Mapping[str, str]) -> dict[str, Ended]:
        ended: dict[str, Ended] = {}
        for name, job in file["jobs"].items():
            needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            contexts = self.contexts(sha, inputs, {need: ended[need] for need in needs})
            contexts["job status"] = "success" if all(ended[n].result == "success" for n in needs) else "failure"
            if not condition(job.get("if", "success()"), contexts):
                ended[name] = Ended("skipped")
            elif "uses" in job:
                called = self.read(Path(job["uses"]).stem)
                given = {key: text(str(value), contexts) for key, value in job.get("with", {}).items()}
                defaults = {k: str(v.get("default", "")) for k, v in called[True]["workflow_call"]["inputs"].items()}
                inner = self._jobs(called, sha, defaults | given)
                outputs = {
                    key: text(value["value"], {"jobs": shown(inner)})
                    for key, value in called[True]["workflow_call"]["outputs"].items()
                }
                bad = next((job.result for job in inner.values() if job.result != "success"), "success")
                ended[name] = Ended(bad, outputs=outputs, log="".join(job.log for job in inner.values()))
            else:
                labels = whole(job["runs-on"], contexts) if isinstance(job["runs-on"], str) else job["runs-on"]
                here = "self-hosted" in labels and len(labels) == 2 and "control" in text(labels[1], contexts)
                ended[name] = self.control(job, contexts) if here else self.runner(job, contexts, labels)
        return ended

    def contexts(self, sha: str, inputs: Mapping[str, str], needs: Mapping[str, Ended]) -> dict[str, Any]:
        return {
            "github": {"sha": sha, "run_attempt": self.attempt, "event": {"repository": {"private": False}}},
            "inputs": dict(inputs),
            "needs": shown(needs),
            "secrets": SECRETS | {"PREFLIGHT_GITHUB_TOKEN": self.checkout.token, "token": self.checkout.token},
            "vars": {},
            "steps": {},
        }

    def control(self, job: Mapping[str, Any], contexts: dict[str, Any]) -> Ended:
        """On this machine, in the checkout."""
        ended, log = Ended("success"), ""
        temp = self.checkout.root / ".lab" / "drive"
        temp.mkdir(exist_ok=True)
        for step in job["steps"]:
            name = step.get("name") or step.get("run") or step["uses"]
            contexts["job status"] = ended.result
            if not condition(str(step.get("if", "success()")), contexts):
                ended.steps[name] = "skipped"
                continue
            if "uses" in step:
                if "upload-artifact" in step["uses"]:
                    file = self.checkout.root / step["with"]["path"]
                    self.artifacts[text(step["with"]["name"], contexts)] = file.read_text()
                ended.steps[name] = "success"
                continue
            (temp / "output").write_text("")
            given = {key: text(str(value), contexts) for key, value in step.get("env", {}).items()}
            environ = {name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME", "LANG") if name in os.environ}
            environ |= {
                "PATH": f"{self.checkout.root}/.venv/bin:{os.environ['PATH']}",
                "GITHUB_OUTPUT": str(temp / "output"),
            }
            environ |= {
                "GITHUB_RUN_ID": str(self.run),
                "GITHUB_RUN_ATTEMPT": str(self.attempt),
                "RUNNER_NAME": "control",
            }
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]], cwd=self.checkout.root, env={**environ, **given}, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False,
            )  # fmt: skip
            log += done.stdout
            lines = (temp / "output").read_text().splitlines()
            contexts["steps"][step.get("id", "")] = {"outputs": dict(line.split("=", 1) for line in lines)}
            ended.steps[name] = "failure" if done.returncode else "success"
            ended.result = "failure" if done.returncode else ended.result
        ended.outputs = {key: text(value, contexts) for key, value in job.get("outputs", {}).items()}
        ended.log = log
        return ended

    def runner(self, job: Mapping[str, Any], contexts: dict[str, Any], labels: list[str]) -> Ended:
        """In the stand-in's queue, until a runner of the lab has done it."""
        files = self.files(contexts["github"]["sha"])
        for step in job["steps"]:
            if "download-artifact" in step.get("uses", ""):
                kept = self.artifacts.get(text(step["with"]["name"], contexts))
                if kept is not None:
                    files[f"{step['with']['path']}/verdict.json"] = kept
        steps = []
        for step in job["steps"]:
            made = {"name": step["name"]} if "name" in step else {}
            given = {key: text(str(value), contexts) for key, value in step.get("env", {}).items()}
            # The lab's runner knows the status of the job, and not that of single steps.
            asked = STEPS_OUTCOME.sub("", str(step.get("if", "success()"))).strip("() ").replace(" ", "")
            asked = "failure() || cancelled()" if asked == "failure()||cancelled" else "success()"
            steps.append(
                made | {key: step[key] for key in ("run", "uses") if key in step} | {"env": given, "if": asked}
            )
        wish = {
            "labels": labels,
            "steps": steps,
            "files": files,
            "secrets": {"DEPLOY_KEY": SECRETS["DEPLOY_KEY"]},
            "env": {
                "GITHUB_RUN_ID": str(self.run),
                "GITHUB_RUN_ATTEMPT": str(self.attempt),
                "GITHUB_SHA": contexts["github"]["sha"],
                "RELEASE_TARGET": "",
                "RELEASE_ROOT": PLACE,
                "RELEASE_ARTIFACT": ARTIFACT,
            },
            "timeout_minutes": job["timeout-minutes"],
        }
        made_job = self.lab.request("POST", "/_lab/jobs", wish)
        deadline = time.monotonic() + SECONDS
        while (told := self.lab.request("GET", f"/_lab/jobs/{made_job['job_id']}"))["state"] != "done":
            assert time.monotonic() < deadline, told
            time.sleep(0.3)
        return Ended(
            told["conclusion"],
            told["runner"],
            steps={step["name"]: step["conclusion"] for step in told["steps"]},
            log="\n".join(told["log"]),
        )

    def files(self, sha: str) -> dict[str, str]:
        """What a checkout lays down: what the first step needs of this project, and the repository's own script with its artifact.

        The stamp comes last: make takes what is older for made, and installs nothing on the lab's hosts.
        """
        root = self.checkout.root
        artifact = release.archive(sha, packed=False).decode()
        names = ("Makefile", "requirements.txt", "fixtures/__init__.py", "fixtures/fresh.py")
        return {name: (root / name).read_text() for name in names} | {
            RELEASE: self.release,
            ARTIFACT: artifact,
            f"{ARTIFACT}.sha256": hashlib.sha256(artifact.encode()).hexdigest(),
            ".venv/bin/python": '#!/bin/sh\nexec python3 "$@"\n',
            ".venv/run": "set up\n",
        }

    def current(self, host: str) -> str:
        """The release that serves on that host; "" for none."""
        argv = engine_named(self.lab.engine).command(self.lab, self.lab.host(host), ["readlink", f"{PLACE}/current"])
        return Path(subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False).stdout.strip()).name


def shown(jobs: Mapping[str, Ended]) -> dict[str, Any]:
    return {name: {"result": job.result, "outputs": job.outputs} for name, job in jobs.items()}


def give_make(lab: Lab) -> None:
    """make on the lab's hosts, as people's runners have it."""
    program = Path("/usr/bin/make").read_bytes()
    for host in lab.hosts:
        put = ["/bin/sh", "-c", "cat > /usr/bin/make && chmod 755 /usr/bin/make"]
        argv = engine_named(lab.engine).command(lab, host, put)
        subprocess.run(argv, input=program, check=True, capture_output=True, timeout=60)
