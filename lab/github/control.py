"""The lab's own door: `/_lab/…`, where runners poll and where the lab breaks and heals. No part of GitHub's API."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from lab.github import apps, kinds, runnerdoor, tokens
from lab.github.hub import Hub

Reply = tuple[int, Any]


class HasKeys(Protocol):
    @property
    def runner(self) -> str: ...

    @property
    def lab(self) -> str: ...


def control(
    hub: Hub,
    keys: HasKeys,
    method: str,
    path: str,
    headers: Mapping[str, str],
    sent: bytes,
    there: Callable[[float], bool],
) -> Reply:
    """Status and JSON of one call to `/_lab/…`. `GET /_lab/ready` needs no key. `there` is as `runnerdoor.held` wants it."""
    parts = path.strip("/").split("/")[1:]
    if (method, parts) == ("GET", ["ready"]):
        return 200, {"ready": True}
    headers = {name.casefold(): text for name, text in headers.items()}
    polling = runnerdoor.spoken(method, parts)
    key = headers.get("authorization", "").removeprefix("Bearer ") if polling else headers.get("x-lab-key", "")
    if not hmac.compare_digest(key.strip().encode(), (keys.runner if polling else keys.lab).encode()):
        return 401, {"message": "this door needs " + ("the runner key as bearer" if polling else "X-Lab-Key")}
    try:
        body = json.loads(sent) if sent.strip() else {}
        if not isinstance(body, dict):
            raise ValueError("the body is no JSON object")
        if polling:
            return runnerdoor.held(hub, parts, body, there)
        with hub.lock:
            return _ordered(hub, method, parts, body)
    except ValueError as wrong:
        return 422, {"message": str(wrong)}


def _ordered(hub: Hub, method: str, parts: list[str], body: Mapping[str, Any]) -> Reply:
    match method, parts:
        case "GET", ["state"]:
            return 200, hub.dump()
        case "POST", ["reset"]:
            hub.reset()
            return 200, {}
        case "POST", ["fault", name]:
            hub.break_(name, body)
            return 200, {}
        case "DELETE", ["fault"]:
            hub.heal("")
            return 200, {}
        case "DELETE", ["fault", name]:
            return (200, {}) if hub.heal(name) else (404, {"message": f"the fault {name} is not on"})
        case "POST", ["runners"]:
            return 201, {"id": hub.register(body).id}
        case "POST", ["runners", name, "silent"]:
            hub.fall_silent(name)
            return 200, {}
        case "DELETE", ["runners", name]:
            return (200, {}) if hub.unregister(name) else (404, {"message": f"no runner {name} is registered"})
        case "PUT", ["outputs"]:
            # What jobs on GitHub's own machines give, by the path of their workflow file.
            hub.actions.outputs = {str(path): _texts(found) for path, found in body.items() if isinstance(found, dict)}
            return 200, dict(hub.actions.outputs)
        case "PUT", ["secrets"]:
            # The values that jobs get; of secrets that are named nowhere, names of the repository's too.
            hub.actions.secrets |= _texts(body)
            hub.lay()
            return 200, {"names": sorted(hub.actions.secrets)}
        case "POST", ["push"]:
            sha, runs = hub.push(body)
            return 201, {"sha": sha, "runs": runs}
        case "PUT", ["kind"]:
            hub.kind = kinds.parse(body)
            hub.lay()
            return 200, {"prefix": hub.kind.prefix, "versions": list(hub.kind.versions)}
        case "POST", ["apps"]:
            app = apps.parse(body)
            hub.apps[app.number] = app
            return 201, {"id": app.number}
        case "POST", ["tokens"]:
            token, grant = tokens.parse(body)
            hub.tokens[token] = grant
            return 201, {"permissions": dict(grant.permissions)}
        case "POST", ["runners", name, "update"]:
            hub.jobs.updates.pop(name, None)
            if version := str(body.get("version") or ""):
                hub.jobs.updates[name] = version
            return 200, {}
        case _, ["jobs", *which]:
            return _jobs(hub, method, which, body)
    return 404, {"message": "no such order"}


def _texts(found: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}


def _jobs(hub: Hub, method: str, which: list[str], body: Mapping[str, Any]) -> Reply:
    """Jobs of the lab's own making: put into the queue, looked at, cancelled; and how fast time passes for all of them."""
    jobs = hub.jobs
    jobs.tick(hub.world)
    match method, which:
        case "POST", []:
            return 201, jobs.shown(jobs.create(hub.world, body))
        case "GET", []:
            return 200, [jobs.shown(live) | {"log": len(live.log)} for live in jobs.live.values()]
        case "PATCH", ["limits"]:
            for name, seconds in body.items():
                if name not in vars(jobs.limits) or not isinstance(seconds, (int, float)):
                    raise ValueError(f"no limit is called {name}; there are {', '.join(vars(jobs.limits))}, in seconds")
                setattr(jobs.limits, name, float(seconds))
            return 200, vars(jobs.limits)
    live = jobs.live.get(int(which[0])) if which and which[0].isdecimal() else None
    if live is None or which[1:] not in ([], ["lose"]):
        return 404, {"message": "no such job"}
    if (method, which[1:]) == ("POST", ["lose"]):
        # As after ten minutes in which nobody renewed.
        live.lease_until = 0.0
        jobs.tick(hub.world)
    if method == "DELETE":
        jobs.cancel(hub.world, live.job.id)
    return 200, jobs.shown(live)
