"""What runners say and hear: `/_lab/runners/NAME/…` and `/_lab/jobs/ID/…` with the runner key. No part of GitHub's API.

    POST runners/NAME/session  {version, clock}      201 {session, poll, hold} · 400 clock · 403 version · 404 gone · 409 taken
    POST runners/NAME/poll     {session, version, hold}  200 {}, {job: {id, request}}, {cancel: id} or {update: version} · 404 · 409 session over
    POST runners/NAME/leave    {session}             200
    POST jobs/ID/acquire       {runner}              200 the order · 409 not yours
    POST jobs/ID/renew         {runner}              200 {valid_till, renew, cancelled} · 404 lost
    POST jobs/ID/log           {runner, lines}       200
    POST jobs/ID/steps         {runner, steps}       200
    POST jobs/ID/source        {runner, ref}         200 {sha, files} of a commit, each file in base64 · 404
    POST jobs/ID/upload        {runner, name, zip}   201 {id, digest, size}, the archive in base64 · 409 name taken
    POST jobs/ID/download      {runner, name}        200 {artifacts: [{name, zip}]}, all of the run without a name · 404
    POST jobs/ID/summary       {runner, text}        200
    POST jobs/ID/outputs       {runner, outputs}     200
    POST jobs/ID/complete      {runner, result}      200 · 404 lost

A poll that asks for it (`hold`, in seconds) is answered late where there is nothing to tell, and at once when there is.

`clock` is the runner's own time, in epoch seconds: GitHub takes no login from a clock that is five minutes off, and
says `invalid_client`, which the runner reads as a deleted registration (runner-host.md 3.4).
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lab.github.artifacts import Conflict
from lab.github.jobs import Live, moment, steps_of
from lab.github.world import iso

if TYPE_CHECKING:
    from lab.github.hub import Hub

Reply = tuple[int, Any]
GLANCE_SECONDS = 0.1
"""So often is it looked whether there is something to tell to a poll that is held."""
CLOCK_SECONDS = 300
VERSION_FLOOR = (2, 329, 0)
MOST_LINES = 200_000
JOB_VERBS = (
    "acquire", "renew", "log", "steps", "complete", "source", "upload", "download", "summary", "outputs",
)  # fmt: skip


def spoken(method: str, parts: list[str]) -> bool:
    """Whether this path is a runner's: those need the runner key, all others the lab's."""
    if method != "POST" or len(parts) != 3:
        return False
    return (parts[0] == "runners" and parts[2] in ("session", "poll", "leave")) or (
        parts[0] == "jobs" and parts[2] in JOB_VERBS
    )


def held(hub: Hub, parts: list[str], body: Mapping[str, Any], there: Callable[[float], bool]) -> Reply:
    """The answer to a runner; to a poll that may be held not before there is something to tell, or its time is over.

    `there(SECONDS)` waits, and says whether the runner is still there to be told: to one that hung up no job is offered.
    """
    with hub.lock:
        reply = answer(hub, parts, body)
        asked = body.get("hold")
        if parts[2] != "poll" or reply != (200, {}) or not isinstance(asked, (int, float)):
            return reply
        name, version, session = parts[1], str(body.get("version") or ""), str(body.get("session") or "")
        until, woken = time.monotonic() + min(asked, hub.jobs.limits.hold), hub.woken.get(name, 0)
    while time.monotonic() < until and there(GLANCE_SECONDS):
        with hub.lock:
            hub.jobs.tick(hub.world)
            hub.actions.tick()
            if hub.woken.get(name, 0) != woken:
                break
            if not hub.registered(name) or (session and not hub.jobs.has_session(name, session)):
                return answer(hub, parts, body)
            if (reply := news(hub, name, version)) != (200, {}):
                return reply
    return 200, {}


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
    return news(hub, name, version)


def news(hub: Hub, name: str, version: str) -> Reply:
    """What there is to tell a runner that polls."""
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
    return 201, {"session": session, "poll": hub.jobs.limits.poll, "hold": hub.jobs.limits.hold}


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
            **{name: found for name, found in asdict(taken.order).items() if name != "files"},
        }
    if verb == "complete":
        done = hub.jobs.complete(hub.world, job_id, name, str(body.get("result")))
        return (200, {}) if done else (404, {"message": "that job is not this runner's any more"})
    live = hub.jobs.renew(job_id, name) if verb == "renew" else hub.jobs.live.get(job_id)
    if live is None or live.holder != name or live.state != "held":
        return 404, {"message": "that job is not this runner's any more"}
    match verb:
        case "log":
            lines = body.get("lines")
            live.log += [str(line) for line in lines] if isinstance(lines, list) else []
            del live.log[MOST_LINES:]
        case "steps":
            live.job.steps = steps_of(body.get("steps"))
        case "summary":
            live.summaries.append(str(body.get("text") or ""))
        case "outputs":
            told = body.get("outputs")
            live.outputs = {str(k): str(v) for k, v in told.items()} if isinstance(told, dict) else {}
        case "source":
            return _source(hub, live, str(body.get("ref") or ""))
        case "upload":
            return _upload(hub, live, body)
        case "download":
            return _download(hub, live, str(body.get("name") or ""))
        case _:
            till = moment() + timedelta(seconds=hub.jobs.limits.lease)
            return 200, {"valid_till": iso(till), "renew": hub.jobs.limits.renew, "cancelled": live.cancelled}
    return 200, {}


def _source(hub: Hub, live: Live, ref: str) -> Reply:
    """What a checkout lays down. A job of the lab's own door brings its files along."""
    if live.order.files and not ref:
        files = {path: text.encode() for path, text in live.order.files.items()}
        return 200, {"sha": live.run.sha, "files": _encoded(files)}
    commit = hub.world.commit(ref or live.run.sha)
    if commit is None:
        return 404, {"message": f"No commit found for the ref {ref or live.run.sha}"}
    return 200, {"sha": commit.sha, "files": _encoded(commit.tree)}


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: base64.b64encode(body).decode() for path, body in files.items()}


def _upload(hub: Hub, live: Live, body: Mapping[str, Any]) -> Reply:
    """Raises ValueError."""
    archive = base64.b64decode(str(body.get("zip") or ""), validate=True)
    days, overwrite = int(body.get("days") or 0), bool(body.get("overwrite"))
    try:
        made = hub.actions.artifacts.upload(hub.world, live.run, str(body.get("name")), archive, days, overwrite)
    except Conflict as taken:
        return 409, {"message": str(taken)}
    return 201, {"id": made.id, "digest": made.digest, "size": made.size}


def _download(hub: Hub, live: Live, name: str) -> Reply:
    found = [(known, body) for known, body in hub.actions.artifacts.all(live.run) if name in ("", known)]
    if name and not found:
        return 404, {"message": f"Artifact not found for name: {name}"}
    return 200, {"artifacts": [{"name": known, "zip": base64.b64encode(body).decode()} for known, body in found]}
