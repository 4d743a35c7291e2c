"""Ways in which the nightly and the tickets of deploys break. As in `mutate.py`, each takes a fresh world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lab.github.world import World

NIGHTLY = ".github/workflows/nightly.yml"
DEPLOY = ".github/workflows/deploy-production.yml"


def nightly_failed(world: World) -> None:
    runs = sorted((run for run in world.runs if run.path == NIGHTLY), key=lambda run: run.created)
    for run in runs[-2:]:
        run.last.conclusion = run.last.jobs[-1].conclusion = "failure"


def nightly_disabled(world: World) -> None:
    for workflow in world.workflows:
        if workflow.path == NIGHTLY:
            workflow.state = "disabled_inactivity"


def deploy_unticketed(world: World) -> None:
    """The message of one deployed commit, as people write it in a hurry."""
    run = [run for run in world.runs if run.path == DEPLOY and run.last.conclusion == "success"][-4]
    world.commits[run.sha] = replace(world.commits[run.sha], message="fix the fix")
    run.title = "fix the fix"


MUTATIONS: dict[str, Callable[[World], None]] = {
    "nightly-failed": nightly_failed,
    "nightly-disabled": nightly_disabled,
    "deploy-unticketed": deploy_unticketed,
}
"""By the name of the fault."""
