"""What runners say and hear: `/_lab/runners/NAME/…` and `/_lab/jobs/ID/…` with the runner key. No part of GitHub's API.

    POST runners/NAME/session  {version, clock}      201 {session, poll} · 400 clock · 403 version · 404 gone · 409 taken
    POST runners/NAME/poll     {session, version}    200 {}, {job: {id, request}}, {cancel: id} or {update: version} · 404 · 409 session over
    POST runners/NAME/leave    {session}             200
    POST jobs/ID/acquire       {runner}              200 the order · 409 not yours
    POST jobs/ID/renew         {runner}              200 {valid_till, renew, cancelled} · 404 lost
    POST jobs/ID/log           {runner, lines}       200
    POST jobs/ID/steps         {runner, steps}       200
    POST jobs/ID/complete      {runner, result}      200 · 404 lost

`clock` is the runner's own time, in epoch seconds: GitHub takes no login from a clock that is five minutes off, and
says `invalid_client`, which the runner reads as a deleted registration (runner-host.md 3.4).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lab.github.jobs import moment, steps_of
from lab.github.world import iso

if TYPE_CHECKING:
    from lab.github.hub import Hub

Reply = tuple[int, Any]
CLOCK_SECONDS = 300
VERSION_FLOOR = (2, 329, 0)
MOST_LINES = 200_000


def spoken(method: str, parts: list[str]) -> bool:
    """Whether this path is a runner's: those need the runner key, all others the lab's."""
    if method != "POST" or len(parts) != 3:
        return False
    return (parts[0] == "runners" and parts[2] in ("session", "poll", "leave")) or (
        parts[0] == "jobs" and parts[2] in ("acquire", "renew", "log", "steps", "complete")
    )


def answer(hub: Hub, parts: list[str], body: Mapping[str, Any]) -> Reply:
    """Raises ValueError with a sentence for a call that makes no sense."""
    hub.jobs.tick(hub.world)
    hub.actions.tick()
    kind, key, verb = parts
    if kind == "runners":
        return _runner(hub, key, verb, body)
    if not key.isdecimal():
        raise ValueError(f"{key} is no job's id")
    return _job(hub, int(key), verb, str(body.get("runner") or ""), body)


def _runner(hub: Hub, name: str, verb: str, body: Mapping[str, Any]) -> Reply:
    version, session = str(body.get("version") or ""), str(body.get("session") or "")
    if not hub.registered(name):
        return 404, {"message": f"no runner {name} is registered"}
    if verb == "leave":
        hub.jobs.close_session(name, session)
        return 200, {}
    if verb == "session":
        return _session(hub, name, version, body)
    if session and not hub.jobs.keep_session(name, session):
        return 409, {"message": "this session is over"}
    hub.poll(name, version)
    runner = hub.world.runner(name)
    if runner is None:
        return 200, {}
    if hub.jobs.updates.get(name, version) != version:
        return 200, {"update": hub.jobs.updates[name]}
    if given_up := hub.jobs.cancelled_of(name):
        return 200, {"cancel": given_up}
    offered = hub.jobs.offer(hub.world, runner)
    return 200, {"job": {"id": offered.job.id, "request": offered.request}} if offered else {}


def _session(hub: Hub, name: str, version: str, body: Mapping[str, Any]) -> Reply:
    clock = body.get("clock")
    if isinstance(clock, (int, float)) and abs(time.time() - clock) > CLOCK_SECONDS:
        return 400, {"error": "invalid_client"}
    numbers = tuple(int(n) for n in version.split(".") if n.isdecimal())
    if numbers and numbers < VERSION_FLOOR:
        return 403, {"message": f"Runner version v{version} is deprecated and cannot receive messages."}
    session = hub.jobs.open_session(name)
    if session is None:
        return 409, {"message": f"The actions runner {name} already has an active session."}
    return 201, {"session": session, "poll": hub.jobs.limits.poll}


def _job(hub: Hub, job_id: int, verb: str, name: str, body: Mapping[str, Any]) -> Reply:
    if verb == "acquire":
        taken = hub.jobs.acquire(hub.world, job_id, name)
        if taken is None:
            return 409, {"message": "that job is not offered to this runner"}
        about = {
            "job": taken.job.name,
            "run_id": taken.run.id,
            "attempt": taken.job.attempt,
            "sha": taken.run.sha,
            "ref": f"refs/heads/{taken.run.branch}",
            "event": taken.run.event,
            "workflow": taken.run.path,
            "repository": hub.world.full_name,
            "actor": taken.run.actor,
        }
        return 200, {
            "id": job_id,
            "request": taken.request,
            "renew": hub.jobs.limits.renew,
            **about,
            **asdict(taken.order),
        }
    if verb == "complete":
        done = hub.jobs.complete(hub.world, job_id, name, str(body.get("result")))
        return (200, {}) if done else (404, {"message": "that job is not this runner's any more"})
    live = hub.jobs.renew(job_id, name) if verb == "renew" else hub.jobs.live.get(job_id)
    if live is None or live.holder != name or live.state != "held":
        return 404, {"message": "that job is not this runner's any more"}
    if verb == "log":
        lines = body.get("lines")
        live.log += [str(line) for line in lines] if isinstance(lines, list) else []
        del live.log[MOST_LINES:]
    elif verb == "steps":
        live.job.steps = steps_of(body.get("steps"))
    else:
        till = moment() + timedelta(seconds=hub.jobs.limits.lease)
        return 200, {"valid_till": iso(till), "renew": hub.jobs.limits.renew, "cancelled": live.cancelled}
    return 200, {}
