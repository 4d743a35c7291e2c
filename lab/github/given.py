"""What a run is given and what it makes of it: inputs of a dispatch, labels of a job, one conclusion from many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lab.agent.expressions import BadExpression, Contexts, text, whole
from lab.github.router import Refused
from lab.github.workflowfile import MOST_INPUTS, File, coerced


def inputs(file: File, given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Refused for inputs that the file does not take."""
    if len(given) > MOST_INPUTS:
        raise Refused(422, f"you may only define up to {MOST_INPUTS} `inputs` for a `workflow_dispatch` event")
    if strange := sorted(set(given) - set(file.inputs)):
        raise Refused(422, f"Unexpected inputs provided: {strange}")
    found = {name: str(given.get(name, about.get("default", ""))) for name, about in file.inputs.items()}
    for name, about in file.inputs.items():
        if about.get("required") == "true" and not found[name]:
            raise Refused(422, f"Required input '{name}' not provided")
        if about.get("type") == "boolean" and found[name].casefold() not in ("", "true", "false"):
            raise Refused(422, f"Provided value '{found[name]}' for input '{name}' not a boolean")
    return {name: coerced(about, found[name]) for name, about in file.inputs.items()}


def together(results: Iterable[str]) -> str:
    """The conclusion of a run, a called workflow or a matrix, from its jobs'."""
    found = set(results)
    return next((word for word in ("failure", "cancelled", "success") if word in found), "skipped")


def labels(asked: Any, contexts: Contexts) -> list[str]:
    """Of `runs-on`. Raises BadExpression for none: a job that asks for no label could go anywhere."""
    asked = whole(asked, contexts) if isinstance(asked, str) else asked
    if isinstance(asked, dict):
        if strange := set(asked) - {"labels"}:
            raise BadExpression(f"runs-on: the lab does not read {', '.join(sorted(strange))}")
        asked = asked.get("labels") or []
    rows = asked if isinstance(asked, list) else [asked]
    found = [label for row in rows if (label := text(str(row), contexts))]
    if not found:
        raise BadExpression("runs-on names no label")
    return found
