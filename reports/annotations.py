"""Workflow commands for GitHub Actions: an annotation at the line of each workflow finding, a fold around the cards, and
a stop to all commands while anything is printed that a host or GitHub said.

The runner takes any printed line that begins with `::` (blanks before it do not count), and `##[` anywhere in a line, for a
command (actions/runner, src/Runner.Common/ActionCommand.cs), so hostile text could set outputs or hide what follows.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fixtures.verdict import Judgement
from reports.cards import plain

PLACE = re.compile(r"^(\.github/workflows/[^\s:]+\.ya?ml):(\d{1,7}) (.*)$", re.MULTILINE)
MOST = 10
"""GitHub shows ten errors and ten warnings of a step, and drops the rest."""


@dataclass(frozen=True)
class Annotation:
    path: str
    line: int
    title: str
    says: str
    error: bool

    def command(self) -> str:
        kind = "error" if self.error else "warning"
        where = f"file={_property(self.path)},line={self.line},title={_property(self.title)}"
        return f"::{kind} {where}::{_data(self.says)}"


def annotated(judgements: Iterable[Judgement]) -> list[Annotation]:
    """One for each line of a workflow file that a check found amiss, the first check's word for it."""
    found: dict[tuple[str, int], Annotation] = {}
    for j in judgements:
        if j.outcome not in ("broken", "unknown"):
            continue
        for path, line, says in PLACE.findall(j.saw):
            error = j.outcome == "broken" and j.check.severity == "blocks"
            found.setdefault((path, int(line)), Annotation(path, int(line), j.name, says, error))
    ordered = sorted(found.values(), key=lambda a: not a.error)
    return [a for kind in (True, False) for a in [b for b in ordered if b.error is kind][:MOST]]


def _data(text: str) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


class Quiet:
    """Stops the runner's reading of commands, but for our own. Without Actions it prints nothing."""

    def __init__(self, environ: Mapping[str, str], write: Callable[[str], object]) -> None:
        self.on = environ.get("GITHUB_ACTIONS") == "true"
        self._write = write
        # Nobody whose text is printed can know it beforehand.
        self._token = secrets.token_hex(16)

    def stop(self) -> None:
        if self.on:
            self._write(f"::stop-commands::{self._token}")

    def resume(self) -> None:
        if self.on:
            self._write(f"::{self._token}::")

    def command(self, line: str) -> None:
        """One command of ours, while the others stay stopped."""
        if self.on:
            self.resume()
            self._write(line)
            self.stop()
