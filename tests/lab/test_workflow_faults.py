"""The lab's own workflows are judged green; each of their guarantees, taken out by a commit, is found, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fixtures import workflows as reader
from fixtures.facts.workflows import Workflows
from lab import faults_workflows
from lab.github.history import build, repository_files
from lab.github.mutate_files import MUTATIONS
from tests.judged import outcomes


def after(name: str) -> dict[str, str]:
    """What the checks say of the lab's files, with one of them changed."""
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
    return outcomes(files)


def test_the_reference_workflows_are_green() -> None:
    found = after("")
    assert len(found) >= 15
    assert set(found.values()) == {"held"}


def test_every_fault_of_a_file_is_told_and_every_told_one_exists() -> None:
    assert {fault.name for fault in faults_workflows.FAULTS} == set(MUTATIONS)


@pytest.mark.parametrize("fault", faults_workflows.FAULTS, ids=lambda fault: fault.name)
def test_a_guarantee_taken_out_is_found(fault: Any) -> None:
    found = after(fault.name)
    assert {check for check, outcome in found.items() if outcome == "broken"} == fault.breaks & found.keys()
    assert {check for check, outcome in found.items() if outcome == "unknown"} == fault.unknown
