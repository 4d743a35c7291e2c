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
from dataclasses import dataclass, field
from json import loads
from pathlib import Path
from typing import IO, Any

from lab.agent.build import version_of, work_of
from lab.agent.diaglog import Log
from lab.agent.masker import Masker, lacking
from lab.agent.process import Cancelled, leftovers, run_script
from lab.agent.wire import Trouble, Wire

SUCCEEDED, FAILED, CANCELED = 100, 102, 103
CRASHED = 1
FLUSH_SECONDS = 0.3
SHUTDOWN = "The runner has received a shutdown signal. This can happen when the runner service is stopped, or a manually started runner is canceled."


def stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def due(condition: str, failed: bool, cancelled: bool) -> bool:
    """Whether a step runs: the status checks that GitHub has, joined by `||` and `&&`."""
    truths = {
        "always()": True,
        "failure()": failed and not cancelled,
        "cancelled()": cancelled,
        "!cancelled()": not cancelled,
        "success()": not failed and not cancelled,
    }
    text = condition.strip().removeprefix("${{").removesuffix("}}").strip() or "success()"
    return any(all(truths.get(term.strip(), False) for term in part.split("&&")) for part in text.split("||"))


def file_commands(text: str) -> dict[str, str]:
    """What a step wrote to GITHUB_ENV: `KEY=value` lines and `KEY<<END` blocks."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        key, block, end = line.partition("<<")
        if block and "=" not in key:
            body = []
            for inner in lines:
                if inner == end:
                    break
                body.append(inner)
            found[key] = "\n".join(body)
        else:
            key, equals, value = line.partition("=")
            if equals and key:
                found[key] = value
    return found


@dataclass
class Told:
    """The job's log and steps, on their way to the stand-in. A stand-in that does not answer costs lines, not the job."""

    wire: Wire
    job: int
    runner: str
    masker: Masker
    log: Log
    steps: list[dict[str, Any]]
    lines: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: str = ""

    def line(self, text: str) -> None:
        fraction = f"{time.time() % 1:.7f}"[1:]
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + fraction
        with self.lock:
            self.lines.append(f"{at}Z {self.masker.mask(text)}")

    def heard(self, text: str) -> None:
        """One line of a step's output: a workflow command, or text. Between `::stop-commands::X` and `::X::` all is text,
        an add-mask with its value too."""
        stripped = text.lstrip()
        if self.stopped:
            if stripped.rstrip() == f"::{self.stopped}::":
                self.stopped = ""
            self.line(text)
            return
        if stripped.startswith("::stop-commands::"):
            self.stopped = stripped.removeprefix("::stop-commands::").strip()
            self.line(text)
            return
        old = text.find("##[add-mask]")
        if stripped.startswith("::add-mask::") or old >= 0:
            value = stripped.removeprefix("::add-mask::") if old < 0 else text[old + len("##[add-mask]") :]
            for escaped, plain in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
                value = value.replace(escaped, plain)
            if value.strip():
                self.masker.add_named(value)
            return
        for command in ("error", "warning", "notice", "debug"):
            if stripped.startswith((f"::{command}::", f"::{command} ")):
                self.line(f"##[{command}]{stripped.partition('::')[2].partition('::')[2]}")
                return
        for command in ("group", "endgroup"):
            if stripped.startswith(f"::{command}::"):
                self.line(f"##[{command}]{stripped.removeprefix(f'::{command}::')}")
                return
        self.line(text)

    def flush(self, steps: bool = False) -> None:
        with self.lock:
            lines, self.lines = self.lines, []
            try:
                if lines:
                    self.wire.post(f"jobs/{self.job}/log", {"runner": self.runner, "lines": lines})
                if steps:
                    self.wire.post(f"jobs/{self.job}/steps", {"runner": self.runner, "steps": self.steps})
            except Trouble as error:
                self.log.trace("JobServerQueue", f"Catch exception during upload: {error}", "ERR")


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
        self.stop = Cancelled()
        self.more: dict[str, str] = {}

    def listen(self, pipe: IO[str]) -> None:
        """What the Listener says while the job runs; in a thread."""
        for word in pipe:
            if word.strip() == "shutdown":
                self.told.line(f"##[error]{SHUTDOWN}")
                self.log.trace("JobRunner", SHUTDOWN, "WARN")
            self.stop.set()
        self.log.trace("Worker", "The channel to the listener is closed.", "WARN")

    def environment(self, own: dict[str, str]) -> dict[str, str]:
        order = self.order
        commands = self.temp / "_runner_file_commands"
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": str(order["actor"]),
            "GITHUB_ENV": str(commands / "set_env"),
            "GITHUB_EVENT_NAME": str(order["event"]),
            "GITHUB_JOB": str(order["job"]),
            "GITHUB_OUTPUT": str(commands / "set_output"),
            "GITHUB_PATH": str(commands / "add_path"),
            "GITHUB_REF": str(order["ref"]),
            "GITHUB_REPOSITORY": str(order["repository"]),
            "GITHUB_RUN_ATTEMPT": str(order["attempt"]),
            "GITHUB_RUN_ID": str(order["run_id"]),
            "GITHUB_SHA": str(order["sha"]),
            "GITHUB_STEP_SUMMARY": str(commands / "step_summary"),
            "GITHUB_WORKFLOW": str(order["workflow"]),
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
        }

    def clean(self) -> None:
        """The real one empties `_temp` at the start and at the end of every job."""
        shutil.rmtree(self.temp, ignore_errors=True)
        (self.temp / "_runner_file_commands").mkdir(parents=True, exist_ok=True)

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
        failed = not self.hook("started")
        self.mark(0, "completed", "failure" if failed else "success")
        until = time.monotonic() + 60 * float(self.order["timeout_minutes"])
        for place, step in enumerate(self.order["steps"], 1):
            cancelled = self.stop.is_set()
            if not due(str(step["condition"]), failed, cancelled):
                self.mark(place, "completed", "skipped")
                continue
            self.mark(place, "in_progress")
            # A step that runs because the job was cancelled is not cut at once by what cut the others.
            stop = Cancelled() if cancelled else self.stop
            code = self.step(step, stop, until)
            good = code == 0
            failed = failed or not good
            cut = stop.is_set() and not good
            self.mark(place, "completed", "success" if good else "cancelled" if cut else "failure")
        failed = not self.hook("completed") or failed
        self.finish()
        return CANCELED if self.stop.is_set() else FAILED if failed else SUCCEEDED

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
            run_script(script, self.temp, self.workspace, self.environment({}), self.told.heard, Cancelled(), never)
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

    def step(self, step: dict[str, Any], stop: Cancelled, until: float) -> int:
        """Run one step. Its exit code."""
        if step["uses"]:
            return self.action(str(step["uses"]))
        script = str(step["run"])
        self.told.line(f"##[group]Run {script.splitlines()[0] if script else ''}")
        for line in script.splitlines():
            self.told.line(f"\x1b[36;1m{line}\x1b[0m")
        self.told.line("shell: /usr/bin/bash -e {0}")
        self.told.line("##[endgroup]")
        environment = self.environment({str(k): str(v) for k, v in step["env"].items()})
        code = run_script(script, self.temp, self.workspace, environment, self.told.heard, stop, until)
        if code:
            self.told.line(f"##[error]Process completed with exit code {code}.")
        self.take_file_commands()
        return code

    def action(self, uses: str) -> int:
        """Of all actions only the checkout does something here: it lays down the files that came with the job."""
        self.told.line(f"##[group]Run {uses}")
        self.told.line("##[endgroup]")
        if uses.startswith("actions/checkout@"):
            shutil.rmtree(self.workspace, ignore_errors=True)
            for name, text in self.order["files"].items():
                place = self.workspace / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(str(text), "utf-8")
                place.chmod(0o755 if str(text).startswith("#!") else 0o644)
        else:
            self.told.line(f"##[notice]The lab has no {uses}: this step does nothing.")
        return 0

    def take_file_commands(self) -> None:
        commands = self.temp / "_runner_file_commands"
        for name in ("set_env", "add_path"):
            try:
                text = (commands / name).read_text("utf-8", "replace")
                (commands / name).unlink()
            except FileNotFoundError:
                continue
            if name == "set_env":
                self.more.update(file_commands(text))
            else:
                before = self.more.get("PATH", os.environ.get("PATH", ""))
                self.more["PATH"] = ":".join([*reversed(text.split()), before])


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
