"""Pushes to the lab's repository: a commit with these files, at the head of a branch. They outlive a world that is laid anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lab.github.history import TICKET, workflow_name
from lab.github.jobs import moment
from lab.github.world import Branch, Commit, Named, Workflow, World

WORKFLOWS = ".github/workflows/"
ACTOR = "acme-developer"


def texts(found: object) -> dict[str, str | None]:
    """The files of a wish: their text by their path, None for one that goes. Raises ValueError."""
    files = found if isinstance(found, dict) else {}
    bad = [path for path, text in files.items() if not isinstance(text, str | None) or path.startswith(("/", "../"))]
    if bad or not files:
        raise ValueError(f"a push needs files, a text or null by path{': ' if bad else ''}{', '.join(bad)}")
    return files


def commit(world: World, wish: Mapping[str, Any]) -> tuple[str, Commit]:
    """The branch, and what is to become its head: `files`, `branch`, `message`, `actor`, and `whole` for a tree that holds
    nothing else. Raises ValueError with a sentence."""
    files = texts(wish.get("files"))
    name = str(wish.get("branch") or world.default_branch)
    branch = world.branch(name) or world.branch(world.default_branch)
    assert branch is not None
    head = world.commits[branch.sha]
    tree = {} if wish.get("whole") else dict(head.tree)
    tree |= {path: text.encode() for path, text in files.items() if text is not None}
    tree = {path: body for path, body in tree.items() if files.get(path, "") is not None}
    said = str(wish.get("message") or f"Change {next(iter(files))}")
    message = said if TICKET in said else f"{said}\n\n{TICKET}"
    # After its parent: a history in which a child is older than its parent is none.
    when = max(moment(), head.when + timedelta(seconds=1))
    word = json.dumps([head.sha, message, when.isoformat(), files], sort_keys=True)
    sha = hashlib.sha1(word.encode(), usedforsecurity=False).hexdigest()
    return name, Commit(sha, message, str(wish.get("actor") or ACTOR), when, head.sha, tree)


def land(world: World, name: str, commit: Commit) -> None:
    """The commit becomes the head of its branch, and workflow files that it brings are known from now on."""
    world.commits[commit.sha] = commit
    branch = world.branch(name)
    if branch is None:
        world.branches.append(Branch(name, commit.sha, protected=False))
    else:
        branch.sha = commit.sha
    known = {workflow.path: workflow for workflow in world.workflows}
    for path, source in commit.tree.items():
        if not path.startswith(WORKFLOWS) or not path.endswith((".yml", ".yaml")):
            continue
        if path in known:
            known[path].name = workflow_name(source, path) if name == world.default_branch else known[path].name
        else:
            number = 88_800_301 + sum(it.id >= 88_800_301 for it in world.workflows)
            world.workflows.append(Workflow(number, workflow_name(source, path), path, commit.when))


def name_secret(world: World, name: str) -> None:
    """A secret whose value the lab was told is one of the repository's, unless it is known elsewhere."""
    guards = [guard.secrets for guard in world.environments]
    if not any(name in known for known in (world.secrets, world.org_secrets, *guards)):
        world.secrets[name] = Named(name, world.now, world.now)
