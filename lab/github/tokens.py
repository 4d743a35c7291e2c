"""Whose tokens the stand-in knows, and what each may do: a token is a map of permissions, as GitHub's are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lab.github.router import Refused, not_found
from lab.github.world import MAIN_TOKEN_PERMISSIONS

LEVELS = ("", "read", "write", "admin")
LACKING = "Resource not accessible by personal access token"
LACKING_APP = "Resource not accessible by integration"


@dataclass(frozen=True)
class Grant:
    """`permissions` by the names that `X-Accepted-GitHub-Permissions` uses, each `read`, `write` or `admin`.

    `mask`: what it lacks is answered as if it were not there (404), as GitHub does for private things. `login` is its
    owner's, "" for an installation's token, which belongs to no user. `scopes` are a classic token's, None for the others.
    """

    permissions: Mapping[str, str] = field(default_factory=dict)
    mask: bool = False
    login: str = "acme-auditor"
    scopes: str | None = None
    ends: datetime | None = None

    def may(self, needs: str, level: str) -> bool:
        return LEVELS.index(self.permissions.get(needs, "")) >= LEVELS.index(level)

    def require(self, needs: str, level: str, path: str) -> None:
        """Raises Refused. Without `metadata` a private repository is not there at all, whatever else the token may read."""
        if path.startswith("/repos/") and not self.may("metadata", "read"):
            raise not_found()
        if self.may(needs, level):
            return
        raise not_found() if self.mask else Refused(403, LACKING if self.login else LACKING_APP)


MAIN = Grant(dict.fromkeys(MAIN_TOKEN_PERMISSIONS, "read"))


def parse(wish: Mapping[str, Any]) -> tuple[str, Grant]:
    """A token and its grant from the lab's door. Raises ValueError with a sentence."""
    token, permissions = wish.get("token"), wish.get("permissions")
    if not isinstance(token, str) or len(token) < 8 or not isinstance(permissions, dict):
        raise ValueError("a token needs token (eight letters or more) and permissions, such as {actions: read}")
    if wrong := [f"{name}: {level}" for name, level in permissions.items() if level not in LEVELS[1:]]:
        raise ValueError(f"a level is read, write or admin, not {', '.join(wrong)}")
    ends, scopes = wish.get("ends"), wish.get("scopes")
    return token, Grant(
        {"metadata": "read"} | {str(name): str(level) for name, level in permissions.items()},
        bool(wish.get("mask")),
        str(wish.get("login", "acme-auditor")),
        None if scopes is None else str(scopes),
        datetime.fromisoformat(str(ends)) if ends else None,
    )
