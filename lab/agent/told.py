"""What a job says on its way to the stand-in: the lines of its log, masked, and the state of its steps."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from lab.agent.diaglog import Log
from lab.agent.masker import Masker
from lab.agent.wire import Trouble, Wire


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
