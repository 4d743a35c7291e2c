"""The runner's own log, in the real one's format (runner-host.md 1.6): `_diag/KIND_YYYYMMDD-HHMMSS-utc.log`,
lines `[UTC LVL Source] text`. What goes to the terminal is mirrored as `Terminal] WRITE LINE:`.

A file that has reached 8 MB is followed by a new one, and each new one takes away those of its kind that were not written
for 30 days (`RUNNER_LOGSIZE`, `WORKER_LOGSIZE` in MB, `RUNNER_LOGRETENTION`, `WORKER_LOGRETENTION` in days).
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

LOG_MEGABYTES, LOG_DAYS = 8, 30


def wanted(name: str, usual: int) -> int:
    """A number of the environment, where there is one above 0."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() and int(text) else usual


def now() -> str:
    """Universal time as .NET's `{0:u}` prints it, e.g. `2026-08-20 10:00:02Z`."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())


def plain(text: str) -> str:
    return text


class Log:
    """One process's log and its standard output. `mask` is applied to every line before it is written."""

    def __init__(self, directory: Path, kind: str, mask: Callable[[str], str] = plain) -> None:
        directory.mkdir(exist_ok=True)
        self._directory, self._kind = directory, kind
        self._most = wanted(f"{kind.upper()}_LOGSIZE", LOG_MEGABYTES) << 20
        self._days = wanted(f"{kind.upper()}_LOGRETENTION", LOG_DAYS)
        self._file = self._next()
        self._mask = mask
        self._lock = threading.Lock()

    def _next(self) -> TextIO:
        for old in self._directory.glob(f"{self._kind}_*.log"):
            # Another process may take it away in the same moment
            with contextlib.suppress(OSError):
                if old.stat().st_mtime < time.time() - self._days * 86_400:
                    old.unlink()
        name = time.strftime(f"{self._kind}_%Y%m%d-%H%M%S-utc.log", time.gmtime())
        return (self._directory / name).open("a", encoding="utf-8")

    def _write(self, line: str) -> None:
        self._file.write(line)
        self._file.flush()
        if self._file.tell() >= self._most:
            self._file.close()
            self._file = self._next()

    def trace(self, source: str, text: str, level: str = "INFO") -> None:
        # `ERR` is padded to four letters upstream, and readers' patterns count on it.
        with self._lock:
            self._write(f"[{now()} {level:<4} {source}] {self._mask(text)}\n")

    def more(self, text: str) -> None:
        """A line that goes on: it has no prefix, as the lines of a stack trace have none."""
        with self._lock:
            self._write(f"{self._mask(text)}\n")

    def say(self, text: str) -> None:
        print(self._mask(text), flush=True)
        self.trace("Terminal", f"WRITE LINE: {text}")

    def complain(self, text: str) -> None:
        print(self._mask(text), file=sys.stderr, flush=True)
        self.trace("Terminal", f"WRITE ERROR: {text}", "ERR")
