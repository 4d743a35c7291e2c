"""Rulesets: what is asked of branches and tags beyond the older protections (REST reference: Repositories, Rules)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from lab.github.router import Ask, Route, not_found
from lab.github.shapes import repo_html, repo_url
from lab.github.world import Ruleset, World, iso

Json = dict[str, Any]
PREFIX = {"branch": "refs/heads/", "tag": "refs/tags/"}


def covers(it: Ruleset, world: World, ref: str) -> bool:
    """Whether a ruleset means a ref by its full name. `*` stays inside one part of a path, as at GitHub."""

    def one(pattern: str) -> bool:
        if pattern == "~ALL":
            return True
        if pattern == "~DEFAULT_BRANCH":
            return ref == f"refs/heads/{world.default_branch}"
        parts, wanted = ref.split("/"), pattern.split("/")
        return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))

    return ref.startswith(PREFIX[it.target]) and any(map(one, it.include))


def branch_rules(ask: Ask) -> list[Json]:
    """Rules in force; the branch need not exist, and rulesets that only evaluate are not in it."""
    ref = PREFIX["branch"] + ask.names["branch"]
    found = [
        {
            "type": rule,
            "ruleset_source_type": "Repository",
            "ruleset_source": ask.world.full_name,
            "ruleset_id": it.id,
        }
        for it in ask.world.rulesets
        if it.enforcement == "active" and it.target == "branch" and covers(it, ask.world, ref)
        for rule in it.rules
    ]
    return ask.bare(found, dict)


def rulesets(ask: Ask) -> list[Json]:
    return ask.bare(ask.world.rulesets, lambda it: _short(ask, it))


def ruleset(ask: Ask) -> Json:
    """`bypass_actors` is left out for those who may not change it."""
    found = next((it for it in ask.world.rulesets if it.id == ask.number("ruleset")), None)
    if found is None:
        raise not_found()
    return _short(ask, found) | {
        "conditions": {"ref_name": {"include": list(found.include), "exclude": []}},
        "rules": [{"type": rule} for rule in found.rules],
    }


def _short(ask: Ask, it: Ruleset) -> Json:
    own = f"{repo_url(ask.world, ask.base)}/rulesets/{it.id}"
    return {
        "id": it.id,
        "name": it.name,
        "target": it.target,
        "source_type": "Repository",
        "source": ask.world.full_name,
        "enforcement": it.enforcement,
        "node_id": f"RRS_{it.id}",
        "_links": {"self": {"href": own}, "html": {"href": f"{repo_html(ask.world)}/rules/{it.id}"}},
        "created_at": iso(ask.world.created),
        "updated_at": iso(ask.world.created),
    }


ROUTES = (
    Route("GET", "R/rules/branches/{branch*}", "metadata", branch_rules),
    Route("GET", "R/rulesets", "metadata", rulesets),
    Route("GET", "R/rulesets/{ruleset}", "metadata", ruleset),
)
