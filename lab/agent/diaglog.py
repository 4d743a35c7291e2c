"""The runner's own log, in the real one's format (runner-host.md 1.6): `_diag/KIND_YYYYMMDD-HHMMSS-utc.log`,
lines `[UTC LVL Source] text`. What goes to the terminal is mirrored as `Terminal] WRITE LINE:`.
"""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


def now() -> str:
    """Universal time as .NET's `{0:u}` prints it, e.g. `2026-08-20 10:00:02Z`."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())


def plain(text: str) -> str:
    return text


class Log:
    """One process's log and its standard output. `mask` is applied to every line before it is written."""

    def __init__(self, directory: Path, kind: str, mask: Callable[[str], str] = plain) -> None:
        directory.mkdir(exist_ok=True)
        name = time.strftime(f"{kind}_%Y%m%d-%H%M%S-utc.log", time.gmtime())
        self._file = (directory / name).open("a", encoding="utf-8")
        self._mask = mask
        self._lock = threading.Lock()

    def trace(self, source: str, text: str, level: str = "INFO") -> None:
        # `ERR` is padded to four letters upstream, and readers' patterns count on it.
        with self._lock:
            self._file.write(f"[{now()} {level:<4} {source}] {self._mask(text)}\n")
            self._file.flush()

    def more(self, text: str) -> None:
        """A line that goes on: it has no prefix, as the lines of a stack trace have none."""
        with self._lock:
            self._file.write(f"{self._mask(text)}\n")
            self._file.flush()

    def say(self, text: str) -> None:
        print(self._mask(text), flush=True)
        self.trace("Terminal", f"WRITE LINE: {text}")

    def complain(self, text: str) -> None:
        print(self._mask(text), file=sys.stderr, flush=True)
        self.trace("Terminal", f"WRITE ERROR: {text}", "ERR")
