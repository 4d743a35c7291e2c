"""Which GitHub this is: the service, or a server of one's own (GHES), and who owns the repository.

A server of one's own lies below `/api/v3` and lacks what github-api.md 1.8 lists; a user has no runner groups, no
organisation's secrets, and runners of the repository only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.github.history import DEFAULT_GROUP
from lab.github.world import World

PREFIX = "/api/v3"
VERSIONS = ("2022-11-28", "2026-03-10")
OWN_VERSIONS = ("2022-11-28",)


@dataclass(frozen=True)
class Kind:
    """`enterprise` is the server's version, "" for the service. `user`: the owner is no organisation."""

    enterprise: str = ""
    user: bool = False

    @property
    def versions(self) -> tuple[str, ...]:
        return OWN_VERSIONS if self.enterprise else VERSIONS

    @property
    def prefix(self) -> str:
        return PREFIX if self.enterprise else ""

    def serves(self, path: str, owner: str) -> bool:
        """Whether this GitHub knows the endpoint. `path` is by name, without the prefix."""
        if self.enterprise and (path == "/rate_limit" or "/concurrency_groups" in path):
            return False
        return not (self.user and (path.startswith(f"/orgs/{owner}") or "/organization-" in path))

    def shape(self, world: World) -> None:
        """Makes a laid world into one of this kind."""
        world.enterprise, world.owned_by_user = self.enterprise, self.user
        if self.enterprise:
            for artifact in world.artifacts:
                artifact.digest = ""
        if self.user:
            world.groups = [group for group in world.groups if group.default]
            group = world.groups[0]
            for runner in world.runners:
                runner.scope, runner.group_id = "repo", DEFAULT_GROUP
            for job in (job for run in world.runs for job in run.jobs()):
                if job.runner_name and job.group_name != "GitHub Actions":
                    job.group_id, job.group_name = group.id, group.name
            world.org_secrets, world.org_variables = {}, {}


def parse(wish: Mapping[str, Any]) -> Kind:
    return Kind(str(wish.get("enterprise") or ""), bool(wish.get("user")))
