"""Which workflows a push starts (GitHub: workflow syntax, `on.push`; skipping workflow runs)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lab.github.workflowfile import BadFile, File

SKIPS = re.compile(r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]")
"""In a commit's message: no workflow runs for that push."""
FILTERS = ("branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore")


def starts(file: File, branch: str, paths: Iterable[str]) -> bool:
    """Whether a push of these paths to that branch starts the workflow. Raises BadFile for a filter that is not read here."""
    filters = file.triggers.get("push")
    if filters is None:
        return False
    if strange := set(filters) - set(FILTERS):
        raise BadFile(f"{file.path}: on.push: the lab does not read {', '.join(sorted(strange))}")
    named = "branches" in filters or "branches-ignore" in filters
    if not named and ("tags" in filters or "tags-ignore" in filters):
        return False
    if named and not _passes(file.path, filters, "branches", [branch]):
        return False
    return _passes(file.path, filters, "paths", list(paths))


def _passes(path: str, filters: Mapping[str, Any], kind: str, names: list[str]) -> bool:
    """`kind` wants one name at least that its patterns take; `kind-ignore` one that its patterns do not."""
    ignored = filters.get(f"{kind}-ignore")
    if ignored is not None:
        return any(not _taken(path, ignored, name) for name in names)
    wanted = filters.get(kind)
    return wanted is None or any(_taken(path, wanted, name) for name in names)


def _taken(path: str, patterns: Any, name: str) -> bool:
    """The last pattern that matches decides; one with `!` takes the name back."""
    taken = False
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        if _matches(path, str(pattern).removeprefix("!"), name):
            taken = not str(pattern).startswith("!")
    return taken


def _matches(path: str, pattern: str, name: str) -> bool:
    if odd := re.search(r"[?+\[\]\\]", pattern):
        raise BadFile(f"{path}: on.push: the lab does not read {odd[0]!r} in the pattern {pattern!r}")
    parts = re.split(r"(\*\*/?|\*)", pattern)
    regex = "".join(
        "(?:.*/)?" if part == "**/" else ".*" if part == "**" else "[^/]*" if part == "*" else re.escape(part)
        for part in parts
    )
    return re.fullmatch(regex, name) is not None
