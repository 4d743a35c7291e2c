"""Masking as the real runner does it (runner-host.md 5): exact substrings, no minimum length, eleven encodings a secret.

Applied to each line when it is written. Nothing here hides what was printed before a value was registered.
"""

import base64
import json
import threading
import urllib.parse
from collections.abc import Iterator

MASK = "***"
LONG = 6
"""The two PowerShell forms count from this length on."""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _after_ampersand(value: str) -> str:
    start = value.find("&+")
    return value[start + 3 :] if start >= 0 else value[value.rfind("&") + 1 :]


def _up_to_ampersand(value: str) -> str:
    start = value.find("&+")
    return value[:start] if start >= 0 else value[: value.rfind("&") + 1]


def _xml(value: str) -> str:
    for plain, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&apos;")):
        value = value.replace(plain, escaped)
    return value


def encodings(value: str) -> Iterator[str]:
    """The value itself and its eleven forms; some are the same."""
    data = value.encode()
    yield value
    yield _base64(data)
    yield _base64(data[1:] if len(data) > 1 else data)
    yield _base64(data[2:] if len(data) > 2 else data)
    yield value.replace('"', '\\"')
    yield value.replace("'", "''")
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield urllib.parse.quote(value, safe="-_.~")
    yield _xml(value)
    if len(value) > 8 and value[0] == value[-1] == '"':
        yield value[1:-1]
    if "&" in value:
        yield from (part for part in (_up_to_ampersand(value), _after_ampersand(value)) if len(part) >= LONG)


class Masker:
    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._lock = threading.Lock()

    def add(self, value: str) -> None:
        """The whole value and each of its trimmed lines."""
        parts = {value, *(line.strip() for line in value.splitlines())} - {""}
        with self._lock:
            for part in parts:
                self._forms.update(form for form in encodings(part) if form)

    def add_secret(self, value: str) -> None:
        """A job's secret is trimmed first; what `::add-mask::` names is not."""
        self.add(value.strip())

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
