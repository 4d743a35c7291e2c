"""Concurrency groups in GitHub's JSON (REST reference: Actions, Concurrency groups)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from lab.github import concurrency, shapes, shapes_runs
from lab.github.concurrency import Member
from lab.github.router import Ask, Refused, Route, not_found
from lab.github.world import Call, Job, Run, iso

Json = dict[str, Any]


def _url(ask: Ask, name: str) -> str:
    return f"{shapes.repo_url(ask.world, ask.base)}/actions/concurrency_groups/{quote(name, safe='')}"


def _shown(ask: Ask, member: Member) -> Json:
    """A lease of a whole run, or of a called workflow, has no job in it."""
    run, job = member.run, member.job
    found: Json = {
        "run_id": run.id,
        "run_name": shapes_runs.workflow_of(ask.world, run)[1],
        "run_url": f"{shapes.repo_url(ask.world, ask.base)}/actions/runs/{run.id}",
        "run_html_url": f"{shapes.repo_html(ask.world)}/actions/runs/{run.id}",
    }
    if job is not None:
        shown = shapes_runs.job(ask.world, ask.base, job, run)
        found |= {
            "job_id": job.id,
            "job_name": job.name,
            "job_url": shown["url"],
            "job_html_url": shown["html_url"],
        }
    return found | {"status": "in_progress" if member.held else "pending"}


def groups(ask: Ask) -> Json:
    """Only groups that somebody holds or awaits now."""
    taken: dict[str, tuple[str, datetime]] = {}
    for member in concurrency.everybody(ask.world):
        taken.setdefault(member.thing.lock.casefold(), (member.thing.lock, member.thing.created))
    answer: Json = ask.by_cursor(
        "concurrency_groups",
        list(taken.values()),
        lambda group: group[0],
        lambda group: {
            "group_name": group[0],
            "group_url": _url(ask, group[0]),
            "last_acquired_at": iso(group[1]),
        },
    )
    return answer


def group(ask: Ask) -> Json:
    """`ahead_of_run` means leases of whole runs and of called workflows, `ahead_of_job` those of jobs."""
    members = concurrency.members(ask.world, ask.names["group"])
    if not members:
        raise not_found()
    if "ahead_of_run" in ask.query and "ahead_of_job" in ask.query:
        raise Refused(422, "Validation Failed", errors=[{"field": "ahead_of_run", "code": "invalid"}])
    for name in ("ahead_of_run", "ahead_of_job"):
        if name in ask.query:
            ids = [str(it.run.id) if name == "ahead_of_run" else str(it.job.id if it.job else "") for it in members]
            if ask.query[name] not in ids:
                raise Refused(422, "Validation Failed", errors=[{"field": name, "code": "invalid"}])
            members = members[: ids.index(ask.query[name])]
    return {
        "group_name": ask.names["group"],
        "group_url": _url(ask, ask.names["group"]),
        "total_count": len(members),
        "group_members": [_shown(ask, member) for member in members],
    }


def groups_of_run(ask: Ask) -> Json:
    """By configuration, so for finished runs too; `group_members` is empty for a lease that is given back."""
    found = next((run for run in ask.world.runs if run.id == ask.number("run")), None)
    if found is None:
        raise not_found()
    run: Run = found
    things: list[Run | Call | Job] = [run, *run.calls(), *run.jobs()]
    names = {thing.lock.casefold(): thing.lock for thing in things if thing.lock}

    def render(name: str) -> Json:
        shown: list[Json] = []
        for place, member in enumerate(concurrency.members(ask.world, name)):
            if member.run is run:
                ahead = f"ahead_of_job={member.job.id}" if member.job else f"ahead_of_run={run.id}"
                position = {"position": place, "position_url": f"{_url(ask, name)}?{ahead}"}
                shown.append(_shown(ask, member) | position)
        return {"group_name": name, "group_url": _url(ask, name), "group_members": shown}

    answer: Json = ask.by_cursor("concurrency_groups", list(names.values()), lambda name: name, render)
    return answer


ROUTES = (
    Route("GET", "R/actions/runs/{run}/concurrency_groups", "actions", groups_of_run),
    Route("GET", "R/actions/concurrency_groups", "actions", groups),
    Route("GET", "R/actions/concurrency_groups/{group}", "actions", group),
)
