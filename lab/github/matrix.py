"""A job's matrix: which jobs it becomes, and what each is called (GitHub: workflow syntax, `jobs.<job_id>.strategy`)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from lab.agent.expressions import BadExpression, Contexts, said, text, whole
from lab.github.workflowfile import Matrix

MOST = 256


def combinations(matrix: Matrix, contexts: Contexts) -> list[dict[str, Any]]:
    """The values of each job, in order: every combination, less those excluded, with what is included.

    Raises BadExpression for a list that is none, and for none or too many jobs.
    """
    lists = {name: _list(value, contexts, name) for name, value in matrix.values.items()}
    found = [dict(zip(lists, row, strict=True)) for row in itertools.product(*lists.values())] if lists else []
    for out in _rows(matrix.exclude, contexts, "exclude"):
        found = [row for row in found if any(row.get(name) != value for name, value in out.items())]
    made: list[dict[str, Any]] = []
    for more in _rows(matrix.include, contexts, "include"):
        # It goes to every combination whose own values it does not change; to none of them, it is a job more.
        into = [row for row in found if all(row[name] == more[name] for name in lists if name in more)]
        for row in into:
            row |= more
        if not into:
            made.append(dict(more))
    found += made
    if not 0 < len(found) <= MOST:
        raise BadExpression(f"a matrix makes 1 to {MOST} jobs, this one {len(found)}")
    return found


def titled(title: str, values: Mapping[str, Any]) -> str:
    """`canary (prod-runner-01)`: the values follow a name that does not use them itself."""
    return title if "${{" in title else f"{title} ({', '.join(said(value) for value in values.values())})"


def _list(value: Any, contexts: Contexts, name: str) -> list[Any]:
    found = whole(value, contexts) if isinstance(value, str) else value
    if not isinstance(found, list):
        raise BadExpression(f"matrix.{name} is no list")
    return [text(row, contexts) if isinstance(row, str) else row for row in found]


def _rows(value: Any, contexts: Contexts, name: str) -> list[dict[str, Any]]:
    rows = _list(value, contexts, name) if value else []
    if not all(isinstance(row, dict) for row in rows):
        raise BadExpression(f"matrix.{name} is no list of mappings")
    return rows
