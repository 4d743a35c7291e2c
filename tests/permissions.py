"""Check × token permission, as the README shows it: from what each check asks GitHub in the healthy recording, and from the
permission that GitHub's own header names for each endpoint, as the stand-in serves it.

    python -m tests.permissions        writes the table into README.md
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from datetime import UTC, datetime

from fixtures import elsewhere
from lab.github.endpoints_repo import ROUTES
from lab.github.history import build, repository_files
from lab.github.router import Router
from tests.checks.test_every_check import CHECKS, CONTEXT, closure, look, outcome
from tests.worlds import ROOT

README = ROOT / "README.md"
HEAD = "| permission of the token, read | checks that are unknown without it |\n|---|---|\n"
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\|\n)+")
NAMES = {
    "actions": "Actions",
    "actions_variables": "Variables",
    "administration": "Administration",
    "checks": "Checks",
    "contents": "Contents",
    "deployments": "Deployments",
    "environments": "Environments",
    "metadata": "Metadata",
    "organization_self_hosted_runners": "Self-hosted runners, of the organization",
    "organization_secrets": "Secrets, of the organization",
    "organization_administration": "Administration, of the organization",
    "secrets": "Secrets (names; values are never served)",
}


def needed() -> dict[str, set[str]]:
    """The slugs of the checks by the permission that they need."""
    world = build("acme", "widgets", datetime.now(UTC), repository_files())
    router = Router(world, ROUTES)
    found: dict[str, set[str]] = defaultdict(set)
    for name, check in CHECKS.items():
        names = set().union(*(closure(argument) for argument in inspect.signature(check).parameters))
        for runner in CONTEXT.runners:
            known, ask, _ = look()
            outcome(check, known, runner)
            for asked in ask.asked:
                route = router.find("GET", asked.partition(" ")[0].partition("?")[0])
                if route is not None and route.route.needs and not names <= set(elsewhere.ELSEWHERE):
                    found[route.route.needs].add(name.split("/")[1])
    return found


def table() -> str:
    """In Markdown. What needs nothing but metadata is not listed: without it nothing can be asked."""
    rows = [
        f"| {NAMES[permission]} | {', '.join(sorted(slugs))} |"
        for permission, slugs in sorted(needed().items(), key=lambda pair: NAMES[pair[0]])
        if permission != "metadata"
    ]
    return HEAD + "| Metadata | every one that asks GitHub |\n" + "".join(f"{row}\n" for row in rows)


if __name__ == "__main__":
    text = README.read_text("utf-8")
    assert TABLE.search(text), "README.md has no such table"
    README.write_text(TABLE.sub(lambda _: table(), text), "utf-8")
