"""rollback/return-told: the title of a rollback's run shows what it returns to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from checks import test_rollback as rollback
from fixtures.facts.model import Workflow
from fixtures.facts.seen import NotApplicable
from fixtures.facts.workflows import Workflows
from tests.worlds import ROLLBACK, deploy_file, files, job_text, rollback_file, workflow, world


def way_back(on: Any = "workflow_dispatch", **top: Any) -> Workflow:
    return workflow({"r": job_text()}, ROLLBACK, on, **top)


def test_a_title_that_shows_the_version_holds() -> None:
    rollback.test_return_told(world(), files())
    rollback.test_return_told(
        world(), files(rollback=way_back(**{"run-name": "${{ github.event.inputs.version }}, INFRA-472"}))
    )


def test_a_title_that_shows_none_does_not() -> None:
    with pytest.raises(AssertionError, match="has no run-name: after a return on main"):
        rollback.test_return_told(world(), files(rollback=way_back()))
    for title in ("Rollback", "Return to ${{ inputs.versions }}", "Return to ${{ github.sha }}"):
        with pytest.raises(AssertionError, match="does not show the input 'version'"):
            rollback.test_return_told(world(), files(rollback=way_back(**{"run-name": title})))


def test_where_nothing_can_be_dispatched_path_alive_says_so() -> None:
    for found in (
        Workflows("main", (deploy_file(),)),
        files(rollback=way_back("push")),
        files(rollback=replace(rollback_file(), fault="line 1: is no mapping")),
    ):
        with pytest.raises(NotApplicable, match="rollback/path-alive says more"):
            rollback.test_return_told(world(), found)
