"""The runner's own releases, as github.com publishes them under actions/runner: what tells how old a runner is.

Real versions with their real dates (runner-host.md, release dates), so that the lab's runner is the latest.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lab.github.router import Ask, Route
from lab.github.shapes import HTML, user
from lab.github.world import Software, iso

if TYPE_CHECKING:
    from lab.github.world import World

PUBLISHED = (
    ("2.329.0", 2025, 10, 14),
    ("2.330.0", 2025, 11, 19),
    ("2.331.0", 2026, 1, 9),
    ("2.332.0", 2026, 2, 25),
    ("2.333.0", 2026, 3, 18),
    ("2.333.1", 2026, 3, 27),
    ("2.334.0", 2026, 4, 21),
    ("2.335.0", 2026, 6, 8),
    ("2.335.1", 2026, 6, 8),
    ("2.336.0", 2026, 7, 20),
)


def published() -> list[Software]:
    return [Software(version, datetime(y, m, d, 15, n, tzinfo=UTC)) for n, (version, y, m, d) in enumerate(PUBLISHED)]


def _release(it: Software, base: str) -> dict[str, Any]:
    number = 200_000_000 + int(it.version.replace(".", ""))
    own = f"{base}/repos/actions/runner/releases/{number}"
    page = f"{HTML}/actions/runner/releases/tag/v{it.version}"
    return {
        "url": own,
        "assets_url": f"{own}/assets",
        "upload_url": f"{own}/assets{{?name,label}}",
        "html_url": page,
        "id": number,
        "author": user(base, "github-actions[bot]", "Bot", 41_898_282),
        "node_id": f"RE_{number}",
        "tag_name": f"v{it.version}",
        "target_commitish": "main",
        "name": f"v{it.version}",
        "draft": False,
        "immutable": False,
        "prerelease": it.prerelease,
        "created_at": iso(it.published - timedelta(hours=1)),
        "updated_at": iso(it.published),
        "published_at": iso(it.published),
        "assets": [],
        "tarball_url": f"{base}/repos/actions/runner/tarball/v{it.version}",
        "zipball_url": f"{base}/repos/actions/runner/zipball/v{it.version}",
        "body": "",
    }


def releases(ask: Ask) -> list[Any]:
    newest = sorted(ask.world.software, key=lambda it: it.published, reverse=True)
    return ask.bare(newest, lambda it: _release(it, ask.base))


def newer_release(days: float) -> Any:
    """A fault of the world: a release that came out so many days ago, which the lab's runners do not have."""

    def mutate(world: World) -> None:
        world.software.append(Software("2.337.0", world.now - timedelta(days=days)))

    return mutate


MUTATIONS = {"runner-release-overdue": newer_release(45), "runner-release-new": newer_release(5)}
ROUTES = (Route("GET", "/repos/actions/runner/releases", "", releases),)
