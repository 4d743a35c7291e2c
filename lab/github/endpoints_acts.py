"""Endpoints that change something: dispatch, cancel, run again, review (REST reference: Actions). They need a write token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.github import shapes, shapes_runs
from lab.github.router import Ask, Refused, Route, not_found
from lab.github.world import Run

if TYPE_CHECKING:
    from lab.github.actions import Actions

Json = dict[str, Any]


def _actions(ask: Ask) -> Actions:
    assert ask.actions is not None, "a world without its engine answers questions only"
    return ask.actions


def _run(ask: Ask) -> Run:
    found = ask.world.run(ask.number("run"))
    if found is None:
        raise not_found()
    return found


def dispatch(ask: Ask) -> Json | bytes:
    """204 and nothing; with `return_run_details`, or in version 2026-03-10 always, 200 and which run it is: the document of
    that version knows no other answer, and no such key. A server of its own does not know it either, and refuses it."""
    known = {"ref", "inputs"} | (set() if ask.world.enterprise else {"return_run_details"})
    if strange := sorted(set(ask.body) - known):
        raise Refused(422, f'Invalid request.\n\n"{strange[0]}" is not a permitted key.')
    if not isinstance(ask.body.get("ref"), str):
        raise Refused(422, 'Invalid request.\n\n"ref" wasn\'t supplied.')
    inputs = ask.body.get("inputs") or {}
    if not isinstance(inputs, dict):
        raise Refused(422, "Invalid request.\n\nFor 'properties/inputs', it is not an object.")
    run = _actions(ask).dispatch(ask.names["workflow"], ask.body["ref"], inputs, ask.login or "github-actions[bot]")
    if not ask.body.get("return_run_details") and ask.version < "2026-03-10":
        ask.status = 204
        return b""
    own = f"{shapes.repo_url(ask.world, ask.base)}/actions/runs/{run.id}"
    return {
        "workflow_run_id": run.id,
        "run_url": own,
        "html_url": f"{shapes.repo_html(ask.world)}/actions/runs/{run.id}",
    }


def cancel(ask: Ask) -> Json:
    _actions(ask).cancel(_run(ask))
    ask.status = 202
    return {}


def force_cancel(ask: Ask) -> Json:
    _actions(ask).cancel(_run(ask), force=True)
    ask.status = 202
    return {}


def rerun(ask: Ask) -> Json:
    _actions(ask).rerun(_run(ask))
    ask.status = 201
    return {}


def rerun_failed(ask: Ask) -> Json:
    _actions(ask).rerun(_run(ask), failed_only=True)
    ask.status = 201
    return {}


def review(ask: Ask) -> list[Json]:
    """An approval or a rejection of the environments that a run waits for."""
    wanted, state = ask.body.get("environment_ids"), ask.body.get("state")
    if not isinstance(wanted, list) or state not in ("approved", "rejected"):
        raise Refused(422, 'Invalid request.\n\n"environment_ids" and "state" are needed.')
    names = [it.name for it in ask.world.environments if it.id in wanted]
    found = _actions(ask).review(_run(ask), names, state, ask.login)
    return [shapes_runs.deployment(ask.world, ask.base, it) for it in found]


ROUTES = (
    Route("POST", "R/actions/workflows/{workflow}/dispatches", "actions", dispatch, level="write"),
    Route("POST", "R/actions/runs/{run}/cancel", "actions", cancel, level="write"),
    Route("POST", "R/actions/runs/{run}/force-cancel", "actions", force_cancel, level="write"),
    Route("POST", "R/actions/runs/{run}/rerun", "actions", rerun, level="write"),
    Route("POST", "R/actions/runs/{run}/rerun-failed-jobs", "actions", rerun_failed, level="write"),
    Route("POST", "R/actions/runs/{run}/pending_deployments", "deployments", review, level="write"),
)
