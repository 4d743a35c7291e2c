"""What the checks of workflow files say of some files, without a run of the gate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import date
from typing import Any

from checks import test_failover, test_rollback, test_secret_masking, test_serialization
from fixtures import context
from fixtures.audit import audited
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.facts.workflows import Workflows
from tests.worlds import HEALTHY

TODAY = date(2026, 11, 24)
WORLD = context.read(HEALTHY / "context.yml", TODAY)
FILES = {"workflows", "production_jobs", "audit"}
CHECKS: dict[str, Callable[..., None]] = {
    mark.kwargs["id"]: check
    for module in (test_serialization, test_failover, test_rollback, test_secret_masking)
    for _, check in inspect.getmembers(module, inspect.isfunction)
    for mark in getattr(check, "pytestmark", [])
    if mark.name == "guarantee"
}


def outcomes(files: Workflows) -> dict[str, str]:
    """Of every check that workflow files alone decide."""
    given: dict[str, Any] = {"world": WORLD, "today": TODAY, "approved": WORLD.approved(TODAY), "workflows": files}
    given |= {"production_jobs": files.production(WORLD), "audit": audited(files, WORLD)}
    found = {}
    for check, judge in CHECKS.items():
        wanted = set(inspect.signature(judge).parameters)
        if wanted <= given.keys() and wanted & FILES:
            found[check] = outcome(judge, {key: given[key] for key in wanted})
    return found


def outcome(judge: Callable[..., None], given: dict[str, Any]) -> str:
    try:
        judge(**given)
    except AssertionError:
        return "broken"
    except Unseen:
        return "unknown"
    except NotApplicable:
        return "not applicable"
    return "held"
