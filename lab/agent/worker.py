"""The lab's `Runner.Worker`: runs one job's steps as the service user in `_work`, and says everything to the stand-in.

Started as `Runner.Worker spawnclient IN OUT` in `bin`, where the file `spawnclient` calls this module. The first line
on handle IN is the job; later ones are `cancel` and `shutdown`. The end of IN means that the Listener died, and changes
nothing: a Worker outlives it, as the real one does (runner-host.md 2.2).
"""

import os
import shlex
import shutil
import signal
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from json import dumps, loads
from pathlib import Path
from typing import IO, Any

from lab.agent.build import version_of, work_of
from lab.agent.diaglog import Log
from lab.agent.expressions import BadExpression, condition, text
from lab.agent.filecommands import MOST_SUMMARY, BadCommand, Files
from lab.agent.masker import Masker, lacking
from lab.agent.process import SHELLS, Cancelled, leftovers, run_script
from lab.agent.told import Told
from lab.agent.used import Failed, Uses
from lab.agent.wire import Wire

SUCCEEDED, FAILED, CANCELED = 100, 102, 103
CRASHED = 1
FLUSH_SECONDS = 0.3
HEAVY_SECONDS = 60.0
"""For an answer that carries a repository or an artifact."""
CANCELLED_SECONDS = 300.0
"""What each step may take that runs because its job was cancelled."""
SHUTDOWN = "The runner has received a shutdown signal. This can happen when the runner service is stopped, or a manually started runner is canceled."
OVERDUE = "The job running on runner {runner} has exceeded the maximum execution time of {minutes:g} minutes."


def stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


class Worker:
    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.root = Path(order["root"])
        self.work = work_of(self.root)
        self.temp = self.work / "_temp"
        repository = str(order["repository"]).rpartition("/")[2]
        self.workspace = self.work / repository / repository
        self.masker = Masker(lacking(self.root))
        for secret in order["secrets"].values():
            self.masker.add_secret(str(secret))
        self.masker.add_secret(str(order["secret"]))
        if token := str(order["secrets"].get("GITHUB_TOKEN", "")):
            self.masker.add_secret(b64encode(f"x-access-token:{token}".encode()).decode())
        self.log = Log(self.root / "_diag", "Worker", self.masker.mask)
        self.tracking = f"github_{order['request']}"
        titles = ["Set up job", *(str(s["name"]) for s in order["steps"]), "Complete job"]
        steps: list[dict[str, Any]] = [{"name": t, "status": "queued", "conclusion": None} for t in titles]
        wire = Wire(str(order["server"]), str(order["secret"]))
        self.told = Told(wire, int(order["id"]), str(order["runner"]), self.masker, self.log, steps)
        self.uses = Uses(
            Wire(str(order["server"]), str(order["secret"]), HEAVY_SECONDS), int(order["id"]), str(order["runner"]),
            str(order["repository"]), self.workspace, self.told.line,
        )  # fmt: skip
        self.stop = Cancelled()
        self.failed = False
        self.more: dict[str, str] = {}
        self.paths: list[str] = []
        self.steps: dict[str, Any] = {}
        """The steps that have ended and have an id, as expressions see them."""

    def listen(self, pipe: IO[str]) -> None:
        """What the Listener says while the job runs; in a thread."""
        for word in pipe:
            if word.strip() == "shutdown":
                self.told.line(f"##[error]{SHUTDOWN}")
                self.log.trace("JobRunner", SHUTDOWN, "WARN")
            self.stop.set()
        self.log.trace("Worker", "The channel to the listener is closed.", "WARN")

    def environment(self, own: Mapping[str, str], files: Mapping[str, str]) -> dict[str, str]:
        order = self.order
        found = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": str(order["actor"]),
            "GITHUB_API_URL": str(order["server"]).rstrip("/"),
            "GITHUB_EVENT_NAME": str(order["event"]),
            "GITHUB_EVENT_PATH": str(self.temp / "_github_workflow" / "event.json"),
            "GITHUB_JOB": str(self.github.get("job") or order["job"]),
            "GITHUB_REF": str(order["ref"]),
            "GITHUB_REF_NAME": str(order["ref"]).removeprefix("refs/heads/"),
            "GITHUB_REPOSITORY": str(order["repository"]),
            "GITHUB_RUN_ATTEMPT": str(order["attempt"]),
            "GITHUB_RUN_ID": str(order["run_id"]),
            "GITHUB_RUN_NUMBER": str(self.github.get("run_number", "1")),
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": str(order["sha"]),
            "GITHUB_WORKFLOW": str(self.github.get("workflow") or order["workflow"]),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_ARCH": "X64",
            "RUNNER_NAME": str(order["runner"]),
            "RUNNER_OS": "Linux",
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_TOOL_CACHE": str(self.work / "_tool"),
            "RUNNER_TRACKING_ID": self.tracking,
            "RUNNER_WORKSPACE": str(self.workspace.parent),
            **{str(k): str(v) for k, v in order["env"].items()},
            **self.more,
            **own,
            **files,
        }
        if self.paths:
            found["PATH"] = ":".join([*self.paths, found.get("PATH", "")])
        return found

    @property
    def github(self) -> dict[str, Any]:
        found = self.order["contexts"].get("github", {})
        return found if isinstance(found, dict) else {}

    def contexts(self, env: Mapping[str, str]) -> dict[str, Any]:
        """What a step's expressions may read: what came with the job, and what has happened since. `env` is the step's own."""
        status = "cancelled" if self.stop.is_set() else "failure" if self.failed else "success"
        here = {
            "name": str(self.order["runner"]), "os": "Linux", "arch": "X64", "temp": str(self.temp),
            "tool_cache": str(self.work / "_tool"), "workspace": str(self.workspace.parent),
        }  # fmt: skip
        return {
            **self.order["contexts"],
            "github": {**self.github, "workspace": str(self.workspace)},
            "secrets": self.order["secrets"],
            "env": {**self.order["env"], **self.more, **env},
            "steps": self.steps,
            "runner": here,
            "job": {"status": status},
            "job status": status,
        }

    def clean(self) -> None:
        """The real one empties `_temp` at the start and at the end of every job."""
        shutil.rmtree(self.temp, ignore_errors=True)
        for folder in ("_runner_file_commands", "_github_workflow"):
            (self.temp / folder).mkdir(parents=True, exist_ok=True)
        event = self.temp / "_github_workflow" / "event.json"
        event.write_text(dumps(self.github.get("event", {})), "utf-8")

    def mark(self, place: int, status: str, conclusion: str | None = None) -> None:
        step = self.told.steps[place]
        step["status"], step["conclusion"] = status, conclusion
        step["started" if status == "in_progress" else "completed"] = stamp()
        if conclusion == "skipped":
            step["started"] = step["completed"]
        self.told.flush(steps=True)

    def run(self) -> int:
        """The job's exit code."""
        self.log.trace("Worker", f"Job message: {self.order['job']} of run {self.order['run_id']}")
        self.mark(0, "in_progress")
        self.told.line(f"Current runner version: '{version_of(self.root)}'")
        self.told.line(f"Runner name: '{self.order['runner']}'")
        self.clean()
        self.workspace.mkdir(parents=True, exist_ok=True)
        self.failed = not self.hook("started")
        self.mark(0, "completed", "failure" if self.failed else "success")
        minutes = float(self.order["timeout_minutes"])
        until = time.monotonic() + 60 * minutes
        for place, step in enumerate(self.order["steps"], 1):
            self.turn(place, step, until)
            if time.monotonic() > until and not self.stop.is_set():
                self.told.line(f"##[error]{OVERDUE.format(runner=self.order['runner'], minutes=minutes)}")
                self.stop.set()
        self.failed = not self.hook("completed") or self.failed
        self.hand_on()
        self.finish()
        return CANCELED if self.stop.is_set() else FAILED if self.failed else SUCCEEDED

    def turn(self, place: int, step: dict[str, Any], until: float) -> None:
        """One step, or that it is left out."""
        cancelled = self.stop.is_set()
        # A step that runs because the job was cancelled is not cut at once by what cut the others.
        stop = Cancelled() if cancelled else self.stop
        limit = time.monotonic() + CANCELLED_SECONDS if cancelled else until
        outputs: dict[str, str] = {}
        forgiven = False
        try:
            own = {str(k): text(str(v), self.contexts({})) for k, v in step["env"].items()}
            contexts = self.contexts(own)
            if not condition(str(step["condition"]) or "success()", contexts):
                self.end_step(place, step, "skipped", "skipped", {})
                return
            self.told.steps[place]["name"] = text(str(step["name"]), contexts)
            self.mark(place, "in_progress")
            forgiven = text(str(step["forgiven"]), contexts).casefold() == "true"
            minutes = float(text(str(step["minutes"]), contexts) or 0)
            own_limit = min(limit, time.monotonic() + 60 * minutes) if minutes else limit
            good, outputs = self.step(step, own, stop, own_limit)
            if not good and own_limit < limit and time.monotonic() > own_limit:
                self.told.line(f"##[error]The action '{step['name']}' has timed out after {minutes:g} minutes.")
        except (BadExpression, BadCommand, Failed, ValueError) as wrong:
            self.told.line(f"##[error]{wrong}")
            good = False
        cut = not good and (stop.is_set() or time.monotonic() > limit)
        outcome = "success" if good else "cancelled" if cut else "failure"
        conclusion = "success" if forgiven and outcome == "failure" else outcome
        self.failed = self.failed or conclusion == "failure"
        self.end_step(place, step, outcome, conclusion, outputs)

    def end_step(
        self, place: int, step: dict[str, Any], outcome: str, conclusion: str, outputs: Mapping[str, str]
    ) -> None:
        if step["id"]:
            self.steps[step["id"]] = {"outcome": outcome, "conclusion": conclusion, "outputs": dict(outputs)}
        self.mark(place, "completed", conclusion)

    def hand_on(self) -> None:
        """The job's outputs. Others count on them: the job fails where they cannot be told."""
        found: dict[str, str] = {}
        try:
            for name, source in self.order["outputs"].items():
                value = text(str(source), self.contexts({}))
                if self.masker.mask(value) != value:
                    self.told.line(f"##[warning]Skip output '{name}' since it may contain secret.")
                else:
                    found[name] = value
            if found:
                self.uses.ask("outputs", {"outputs": found})
        except (BadExpression, Failed) as wrong:
            self.told.line(f"##[error]{wrong}")
            self.failed = True

    def hook(self, when: str) -> bool:
        """The administrator's own script around each job (runner-host.md 7.1). False when it fails the job: a file that is
        missing, or named otherwise than .sh, .ps1 or .js, fails every job."""
        path = os.environ.get(f"ACTIONS_RUNNER_HOOK_JOB_{when.upper()}", "")
        if not path:
            return True
        self.told.line(f"A job {when} hook has been configured by the self-hosted runner administrator")
        if not path.endswith((".sh", ".ps1", ".js")):
            self.told.line(
                f"##[error]{path} is not a valid path to a script. Make sure it ends in '.sh', '.ps1' or '.js'."
            )
            return False
        if not Path(path).is_file():
            self.log.trace("JobExtension", "System.IO.FileNotFoundException: File doesn't exist", "ERR")
            self.told.line("##[error]File doesn't exist")
            return False
        script = f"exec bash -e {shlex.quote(path)}"
        # Without a limit of its own, as upstream: a hook that hangs blocks the runner.
        never = time.monotonic() + 10**6
        return (
            run_script(script, self.temp, self.workspace, self.environment({}, {}), self.told.heard, Cancelled(), never)
            == 0
        )

    def finish(self) -> None:
        last = len(self.told.steps) - 1
        self.mark(last, "in_progress")
        self.told.line("Cleaning up orphan processes")
        for pid, name in leftovers(self.tracking):
            self.told.line(f"Terminate orphan process: pid ({pid}) ({name})")
            self.log.trace("JobExtension", f"Terminate orphan process: pid ({pid}) ({name})")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        shutil.rmtree(self.temp, ignore_errors=True)
        self.temp.mkdir(parents=True, exist_ok=True)
        self.mark(last, "completed", "success")

    def step(
        self, step: dict[str, Any], own: Mapping[str, str], stop: Cancelled, until: float
    ) -> tuple[bool, dict[str, str]]:
        """Run one step: whether it went well, and its outputs. Raises BadExpression, BadCommand and Failed."""
        contexts = self.contexts(own)
        if step["uses"]:
            self.told.line(f"##[group]Run {step['uses']}")
            given = {str(k): text(str(v), contexts) for k, v in step["given"].items()}
            for name, value in given.items():
                self.told.line(f"  {name}: {value}")
            self.told.line("##[endgroup]")
            return True, self.uses.run(str(step["uses"]), given)
        script, shell = text(str(step["run"]), contexts), str(step["shell"])
        self.told.line(f"##[group]Run {script.splitlines()[0] if script else ''}")
        for line in script.splitlines():
            self.told.line(f"\x1b[36;1m{line}\x1b[0m")
        self.told.line(f"shell: /usr/bin/{' '.join(SHELLS[shell])} {{0}}")
        self.told.line("##[endgroup]")
        files = Files(self.temp / "_runner_file_commands")
        place = self.workspace / text(str(step["directory"]), contexts)
        environment = self.environment(own, files.environment())
        code = run_script(script, self.temp, place, environment, self.told.heard, stop, until, shell)
        if code:
            self.told.line(f"##[error]Process completed with exit code {code}.")
        self.more.update(files.given("GITHUB_ENV"))
        self.paths[:0] = reversed(files.text("GITHUB_PATH").split("\n")[:-1])
        if summary := files.text("GITHUB_STEP_SUMMARY"):
            if len(summary.encode()) > MOST_SUMMARY:
                raise Failed(
                    f"$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of {MOST_SUMMARY // 1024}k"
                )
            self.uses.ask("summary", {"text": "\n".join(self.masker.mask(line) for line in summary.split("\n"))})
        return code == 0, files.given("GITHUB_OUTPUT")


def main() -> int:
    # A shell, and a service that stops, send SIGINT to the Listener; the Worker hears of it through its pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = os.fdopen(int(sys.argv[1]), encoding="utf-8")
    worker = Worker(loads(pipe.readline()))
    threading.Thread(target=worker.listen, args=(pipe,), daemon=True).start()
    ended = threading.Event()

    def flush() -> None:
        while not ended.wait(FLUSH_SECONDS):
            worker.told.flush()

    threading.Thread(target=flush, daemon=True).start()
    try:
        code = worker.run()
    except Exception as error:
        worker.log.trace("Worker", f"Unhandled exception: {type(error).__name__}: {error}", "CRIT")
        code = CRASHED
    ended.set()
    worker.told.flush(steps=True)
    worker.log.trace("Worker", f"Job completed. Return code {code}")
    sys.stdout.flush()
    # The thread that reads the pipe holds the buffer that an ordinary exit wants to close.
    os._exit(code)
