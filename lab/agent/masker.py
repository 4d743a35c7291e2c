"""Masking as the real runner does it (runner-host.md 5): exact substrings, no minimum length, eleven encodings a secret.

Applied to each line when it is written. Nothing here hides what was printed before a value was registered.
Each rule has a name, and can be left out: that is how the lab shows what a runner without it would leak.
"""

import base64
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

MASK = "***"
LONG = 6
"""The two PowerShell forms count from this length on."""
OFF = ".masking-off"
"""A file in the runner's directory that the lab's faults write: the names of rules that this runner lacks."""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _shift(value: str, by: int) -> str:
    data = value.encode()
    return _base64(data[by:] if len(data) > by else data)


def _before_ampersand(value: str) -> str:
    start = value.find("&+")
    part = value[:start] if start >= 0 else value[: value.rfind("&") + 1]
    return part if len(part) >= LONG else ""


def _after_ampersand(value: str) -> str:
    if "&" not in value:
        return ""
    start = value.find("&+")
    part = value[start + 3 :] if start >= 0 else value[value.rfind("&") + 1 :]
    return part if len(part) >= LONG else ""


def _xml(value: str) -> str:
    for plain, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&apos;")):
        value = value.replace(plain, escaped)
    return value


def _inside_quotes(value: str) -> str:
    return value[1:-1] if len(value) > 8 and value[0] == value[-1] == '"' else ""


ENCODERS: dict[str, Callable[[str], str]] = {
    "base64": lambda v: _base64(v.encode()),
    "base64-shift-1": lambda v: _shift(v, 1),
    "base64-shift-2": lambda v: _shift(v, 2),
    "command-line": lambda v: v.replace('"', '\\"'),
    "expression": lambda v: v.replace("'", "''"),
    "json": lambda v: json.dumps(v, ensure_ascii=False)[1:-1],
    "url": lambda v: urllib.parse.quote(v, safe="-_.~"),
    "xml": _xml,
    "trimmed-quotes": _inside_quotes,
    "before-ampersand": _before_ampersand,
    "after-ampersand": _after_ampersand,
}
"""The eleven, by the names that upstream's forms have in `secret-masking/canary-masked`; "" where one gives nothing."""

RULES = (*ENCODERS, "lines", "trim", "add-mask")


def encodings(value: str, off: Iterable[str] = ()) -> Iterator[str]:
    """The value itself and its eleven forms; some are the same."""
    yield value
    yield from (encode(value) for name, encode in ENCODERS.items() if name not in off)


def lacking(root: Path) -> frozenset[str]:
    """The rules that the runner in this directory lacks: none, unless the lab says so."""
    try:
        return frozenset((root / OFF).read_text("ascii").split())
    except OSError:
        return frozenset()


class Masker:
    """What one job knows to be secret. `off` are names of RULES that it does without."""

    def __init__(self, off: frozenset[str] = frozenset()) -> None:
        self._off = off
        self._forms: set[str] = set()
        self._lock = threading.Lock()

    def add(self, value: str) -> None:
        """The whole value and each of its trimmed lines."""
        lines = () if "lines" in self._off else tuple(line.strip() for line in value.splitlines())
        with self._lock:
            for part in {value, *lines} - {""}:
                made = set(encodings(part, self._off))
                # With one rule left out, another must not make the same form: most forms of a plain word are the word.
                same = {ENCODERS[name](part) for name in self._off & ENCODERS.keys()} - {part}
                self._forms.update(form for form in made - same if form)

    def add_secret(self, value: str) -> None:
        """A job's secret is trimmed first; what `::add-mask::` names is not."""
        self.add(value if "trim" in self._off else value.strip())

    def add_named(self, value: str) -> None:
        """What a step named with `::add-mask::`."""
        if "add-mask" not in self._off:
            self.add(value)

    def mask(self, text: str) -> str:
        """Hits that overlap or touch become one mask."""
        with self._lock:
            forms = tuple(self._forms)
        hits: list[tuple[int, int]] = []
        for form in forms:
            at = text.find(form)
            while at >= 0:
                hits.append((at, at + len(form)))
                at = text.find(form, at + 1)
        made: list[str] = []
        end = 0
        covered = -1
        for start, stop in sorted(hits):
            if start > covered:
                made += [text[end:start], MASK]
            covered = max(covered, stop)
            end = covered
        return "".join([*made, text[end:]])
