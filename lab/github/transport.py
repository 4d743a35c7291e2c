"""Ways in which the way to GitHub breaks, whatever the answer would have been.

A transport fault is a kind, a regular expression on the endpoint, searched in `METHOD /path?query` with the path by
name (so that a `Link` into `/repositories/{id}/…` meets it too), and `times`, how often it strikes (0: always).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HUGE_BYTES = 50 * 1024 * 1024

SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
UNICORN = b"<!DOCTYPE html><html><head><title>Unicorn!</title></head><body>This page took too long.</body></html>"

KINDS = {
    "status": "the answer is `status` (500, 502, 503, …) with `message`",
    "rate-limited": "429; `retry_after` in seconds sends Retry-After, without it there is none",
    "secondary-limit": "403 with GitHub's words for the secondary limit; `retry_after` as above",
    "primary-exhausted": "403, nothing remains of the hour until `reset_in` seconds from now",
    "permission-lost": "the token lacks `permission`: 403, or 404 with `mask` true",
    "token-revoked": "401 for every token",
    "stall": "never answers, the connection stays open",
    "slow": "answers after `seconds`",
    "reset": "the connection is reset in the middle of the body",
    "truncated": "the connection closes in the middle of the body",
    "html": "200 with an HTML page instead of JSON",
    "wrong-shape": "200 with JSON of another shape",
    "empty-body": "200 with no body",
    "huge": "200 with a JSON string of 50 MB",
    "moved": "301 to another address, as after a rename",
    "content-type": "the true answer under the name of `type` (text/html)",
    "no-link": "the true answer without Link, as a proxy leaves it that does not know the header",
    "short": "half of a list's rows, with the true count beside them",
    "clock": "`Date` is `seconds` ahead (or, below 0, behind)",
    "refused-version": "410, as for an API version that is not served any more",
}


@dataclass
class TransportFault:
    name: str
    kind: str
    endpoint: re.Pattern[str]
    times: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)
    struck: int = 0

    def strikes(self, line: str) -> bool:
        """Whether it meets this request; counts the times it did."""
        if (self.times and self.struck >= self.times) or not self.endpoint.search(line):
            return False
        self.struck += 1
        return True


def parse(name: str, params: Mapping[str, Any]) -> TransportFault:
    """A fault from the control call. Raises ValueError with a sentence when the call makes no sense."""
    kind = str(params.get("kind", name))
    if kind not in KINDS:
        raise ValueError(f"no fault is called {name}, and no transport kind {kind}; kinds: {', '.join(KINDS)}")
    if kind == "permission-lost" and not params.get("permission"):
        raise ValueError("permission-lost needs the permission, such as administration")
    try:
        endpoint = re.compile(str(params.get("endpoint", "")))
    except re.error as wrong:
        raise ValueError(f"endpoint is no regular expression: {wrong}") from None
    return TransportFault(name, kind, endpoint, int(params.get("times", 0)), dict(params))


@dataclass
class Wire:
    """An answer as it is about to be sent, which a fault may change or cut."""

    status: int
    body: bytes
    headers: dict[str, str]
    cut: str = ""
    """`reset` or `truncated`: half of the body goes out, and no more."""
    ahead: float = 0.0
    """How many seconds its `Date` is ahead."""


def error(status: int, message: str) -> tuple[int, dict[str, str]]:
    return status, {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}


def replaced(fault: TransportFault) -> tuple[int, Any, dict[str, str]] | None:
    """The whole answer of a fault that leaves nothing of the true one: status, JSON or bytes, headers."""
    more = fault.more
    headers: dict[str, str] = {}
    if "retry_after" in more:
        headers["Retry-After"] = str(more["retry_after"])
    match fault.kind:
        case "status":
            status = int(more.get("status", 500))
            return (*error(status, str(more.get("message", "Server Error"))), headers)
        case "rate-limited":
            return (*error(429, SECONDARY), headers)
        case "secondary-limit":
            return (*error(403, SECONDARY), headers)
        case "primary-exhausted":
            reset = int(time.time()) + int(more.get("reset_in", 1800))
            spent = {"x-ratelimit-remaining": "0", "x-ratelimit-used": "5000", "x-ratelimit-reset": str(reset)}
            return (*error(403, "API rate limit exceeded for user ID 1."), headers | spent)
        case "token-revoked":
            return (*error(401, "Bad credentials"), headers)
        case "refused-version":
            return (*error(410, "This version of the API is no longer supported."), headers)
        case "moved":
            there = {"Location": str(more.get("to", "https://api.github.com/repositories/1"))}
            return (*error(301, "Moved Permanently"), headers | there)
        case "html":
            return 200, UNICORN, headers | {"Content-Type": "text/html; charset=utf-8"}
        case "wrong-shape":
            return 200, {"unexpected": [1, "two", None]}, headers
        case "empty-body":
            return 200, b"", headers
        case "huge":
            return 200, b'"' + b"x" * HUGE_BYTES + b'"', headers
    return None


SPOILS = frozenset({"content-type", "no-link", "short", "clock"})


def spoil(fault: TransportFault, wire: Wire) -> None:
    """Changes the true answer as the fault says."""
    match fault.kind:
        case "content-type":
            wire.headers["Content-Type"] = str(fault.more.get("type", "text/html; charset=utf-8"))
        case "no-link":
            wire.headers.pop("Link", None)
        case "clock":
            wire.ahead = float(fault.more.get("seconds", 3600))
        case "short" if wire.status == 200:
            # Nobody may keep half a list under the name of the whole.
            for name in ("Link", "ETag"):
                wire.headers.pop(name, None)
            wire.body = json.dumps(_halved(json.loads(wire.body))).encode()


def _halved(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: _halved(value) if isinstance(value, list) else value for key, value in body.items()}
    return body[: len(body) // 2] if isinstance(body, list) else body
