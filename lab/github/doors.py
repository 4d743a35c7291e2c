"""Addresses of GitHub's other hosts that answer without a token: what a connectivity check of a runner asks."""

from __future__ import annotations

DOORS = {
    ("api.github.com", "/"): b"{}",
    ("github.com", "/"): b"",
    ("codeload.github.com", "/_ping"): b"OK",
    ("broker.actions.githubusercontent.com", "/health"): b"",
    ("results-receiver.actions.githubusercontent.com", "/health"): b"",
    ("vstoken.actions.githubusercontent.com", "/_apis/health"): b"",
    ("pipelines.actions.githubusercontent.com", "/_apis/health"): b"",
}
"""Body of the 200 by host and path (the runner's own `--check` asks these)."""


def behind(host: str, path: str) -> bytes | None:
    """What stands behind one of those doors; None where there is none, as for the API itself."""
    return DOORS.get((host.casefold().removesuffix(":443"), path))
