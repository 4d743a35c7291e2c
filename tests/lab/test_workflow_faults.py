"""The lab's own workflows are judged green; each of their guarantees, taken out by a commit, is found, and nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from checks import test_failover, test_rollback, test_secret_masking, test_serialization
from fixtures import context
from fixtures import workflows as reader
from fixtures.audit import audited
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.facts.workflows import Workflows
from lab import faults_workflows
from lab.github.history import build, repository_files
from lab.github.mutate_files import MUTATIONS
from tests.worlds import ROOT

WORLD = context.read(ROOT / "tests" / "recordings" / "healthy" / "context.yml", date(2026, 11, 24))
GIVEN = {"world", "workflows", "production_jobs", "approved", "today"}
CHECKS: dict[str, Callable[..., None]] = {
    mark.kwargs["id"]: check
    for module in (test_serialization, test_failover, test_rollback, test_secret_masking)
    for _, check in inspect.getmembers(module, inspect.isfunction)
    for mark in getattr(check, "pytestmark", [])
    if mark.name == "guarantee" and {"workflows", "production_jobs"} & set(inspect.signature(check).parameters) <= GIVEN
}


def outcomes(name: str) -> dict[str, str]:
    """Of every check that the workflow files alone decide."""
    laid = build("acme", "widgets", datetime(2026, 11, 24, 4, 5, tzinfo=UTC), repository_files())
    if name:
        MUTATIONS[name](laid)
    branch = laid.branch(laid.default_branch)
    assert branch is not None
    tree = laid.commits[branch.sha].tree
    states = {workflow.path: workflow.state for workflow in laid.workflows}
    files = Workflows(
        "main",
        tuple(
            reader.read(p, text.decode(), states.get(p, "unknown")) for p, text in sorted(tree.items()) if p in states
        ),
    )
    found = {}
    for check, judge in CHECKS.items():
        given: dict[str, Any] = {"world": WORLD, "workflows": files, "today": date(2026, 11, 24)}
        given["audit"] = audited(files, WORLD)
        given |= {"approved": WORLD.approved(date(2026, 11, 24)), "production_jobs": files.production(WORLD)}
        wanted = inspect.signature(judge).parameters
        if not set(wanted) <= given.keys():
            continue
        try:
            judge(**{key: given[key] for key in wanted})
            found[check] = "held"
        except AssertionError:
            found[check] = "broken"
        except Unseen:
            found[check] = "unknown"
        except NotApplicable:
            found[check] = "not applicable"
    return found


def test_the_reference_workflows_are_green() -> None:
    found = outcomes("")
    assert len(found) >= 15
    assert set(found.values()) == {"held"}


def test_every_fault_of_a_file_is_told_and_every_told_one_exists() -> None:
    assert {fault.name for fault in faults_workflows.FAULTS} == set(MUTATIONS)


@pytest.mark.parametrize("fault", faults_workflows.FAULTS, ids=lambda fault: fault.name)
def test_a_guarantee_taken_out_is_found(fault: Any) -> None:
    found = outcomes(fault.name)
    assert {check for check, outcome in found.items() if outcome == "broken"} == fault.breaks & found.keys()
    assert {check for check, outcome in found.items() if outcome == "unknown"} == fault.unknown
