"""Logs of jobs as GitHub gives them: a redirect to an address that is good for a minute, without the token, and plain text.

A job of now has the lines that its runner told; one of the laid history has lines that fit its steps.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from lab import canary
from lab.github.router import Ask, Refused, Route, not_found
from lab.github.world import Job, Run, World

if TYPE_CHECKING:
    from lab.github.hub import Hub

PREFIX = "/_blob/logs/"
GOOD_SECONDS = 60
KEY = os.urandom(16)


def job_of(world: World, number: int) -> tuple[Run, Job]:
    """Raises Refused (404) for a job that there is not."""
    for run in world.runs:
        for job in run.jobs():
            if job.id == number:
                return run, job
    raise not_found()


def redirect(ask: Ask) -> None:
    """Always raises: a 302 is no body. A job that no runner finished has no log, and an old one's has expired."""
    _, job = job_of(ask.world, ask.number("job"))
    if ask.world.logs_lost:
        raise Refused(502, "Server Error")
    if job.id in ask.world.logs_expired:
        raise Refused(410, "Gone")
    if job.status != "completed" or job.runner_name is None:
        raise not_found()
    until = int(time.time()) + GOOD_SECONDS
    query = urlencode({"se": until, "sig": _signature(job.id, until)})
    raise Refused(302, "Found", {"Location": f"{ask.base}{PREFIX}{job.id}?{query}"})


def _signature(job: int, until: int) -> str:
    return hmac.new(KEY, f"{job} {until}".encode(), hashlib.sha256).hexdigest()


def blob(hub: Hub, path: str, query: str, signed_in: bool) -> tuple[int, bytes]:
    """Status and body of what is behind a redirect. It takes the address's signature, and no other authorization beside it."""
    given = {name: values[0] for name, values in parse_qs(query).items()}
    number, until = path.removeprefix(PREFIX), given.get("se", "")
    if signed_in:
        return 400, b"<Error><Code>InvalidAuthenticationInfo</Code></Error>"
    if not number.isdecimal() or not until.isdecimal():
        return 404, b"<Error><Code>ResourceNotFound</Code></Error>"
    if int(until) < time.time() or not hmac.compare_digest(given.get("sig", ""), _signature(int(number), int(until))):
        return 403, b"<Error><Code>AuthenticationFailed</Code></Error>"
    live = hub.jobs.live.get(int(number))
    if live is not None:
        return 200, "".join(f"{line}\n" for line in live.log).encode()
    try:
        run, job = job_of(hub.world, int(number))
    except Refused:
        return 404, b"<Error><Code>BlobNotFound</Code></Error>"
    return 200, text(hub.world, run, job).encode()


def text(world: World, run: Run, job: Job) -> str:
    """The log of a job of the laid history: each step's group, what such steps say, and what a fault put there."""
    lines = [
        (job.started, "Current runner version: '2.336.0'"),
        (job.started, f"Runner name: '{job.runner_name}'"),
        (job.started, f"Runner group name: '{job.group_name}'"),
        (job.started, f"Machine name: '{job.runner_name}'"),
    ]
    for step in job.steps:
        if step.conclusion == "skipped" or step.started is None or step.name in ("Set up job", "Complete job"):
            continue
        at = step.started
        lines += [
            (at, f"##[group]{step.name if step.name.startswith('Run ') else f'Run {step.name}'}"),
            (at, "##[endgroup]"),
        ]
        lines += [(at, said) for said in _said(step.name, run)]
        lines += [(at, said) for said in world.logged.get(job.id, ()) if step.name in ("Deploy", "Return")]
    lines.append((job.completed or job.started, "Cleaning up orphan processes"))
    return "".join(f"{_stamp(at)} {said}\n" for at, said in lines)


def _said(step: str, run: Run) -> list[str]:
    if step == "Print the canary":
        return canary.masked(run.id, 1)
    if step == "Print the canary":
        return canary.masked(run.id, 1)
    if step.startswith("Run actions/checkout"):
        return [f"HEAD is now at {run.sha[:7]} {run.title}", "***"]
    digest = hashlib.sha256(f"{step} {run.sha}".encode()).hexdigest()
    return [f"{step}: {run.title}", f"digest sha256:{digest}", f"{step} with *** took {int(digest[:2], 16)} s"]


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.0000000Z"


ROUTES = (Route("GET", "R/actions/jobs/{job}/logs", "actions", redirect),)
