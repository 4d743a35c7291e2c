"""What a runner is handed: a job's steps as they are written, and all that their expressions may read."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from lab.agent.expressions import text
from lab.github.jobs import Order, StepOrder
from lab.github.openrun import Open, above
from lab.github.tokens import LEVELS, Grant
from lab.github.world import Job, World

DEFAULT_PERMISSIONS = {"contents": "read", "packages": "read"}
"""Of a job's token where nothing is said, in a repository that is set to the restricted default."""
PERMISSIONS = ("actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token", "issues",
               "models", "packages", "pages", "pull-requests", "security-events", "statuses")  # fmt: skip


def order(opened: Open, key: str, job: Job, world: World, values: Mapping[str, str]) -> Order:
    """Raises BadExpression. A secret's value is none that opens anything, but those in `values`."""
    plan = opened.plan[key]
    guard = world.environment(job.environment) if job.environment else None
    token = f"ghs_{secrets.token_hex(18)}"
    hidden = opened.secrets(key, job.environment, world, values) | {"GITHUB_TOKEN": token}
    contexts = opened.contexts(world, key)
    contexts["github"]["token"] = token
    contexts |= {
        "secrets": hidden,
        "vars": contexts["vars"] | ({name: it.value for name, it in guard.variables.items()} if guard else {}),
    }
    env = {name: text(said, contexts) for name, said in {**opened.file_of(key).env, **plan.env}.items()}
    return Order(
        tuple(_step(step) for step in plan.steps),
        env,
        hidden,
        timeout_minutes=float(text(plan.timeout, contexts)),
        contexts={name: found for name, found in contexts.items() if name not in ("secrets", "jobs")},
        outputs=plan.outputs,
    )


def _step(step: Mapping[str, Any]) -> StepOrder:
    run, uses = str(step.get("run") or ""), str(step.get("uses") or "")
    asked = str(step.get("if") or "success()").strip()
    return StepOrder(
        str(step.get("name") or f"Run {(run or uses).strip().splitlines()[0]}"),
        run,
        uses,
        asked[3:-2].strip() if asked.startswith("${{") and asked.endswith("}}") else asked,
        _texts(step.get("env")),
        str(step.get("shell") or ""),
        str(step.get("id") or ""),
        _texts(step.get("with")),
        str(step.get("working-directory") or ""),
        str(step.get("continue-on-error") or "false"),
        str(step.get("timeout-minutes") or ""),
    )


def _texts(found: Any) -> dict[str, str]:
    return {str(name): str(said) for name, said in (found or {}).items()}


def grant(opened: Open, key: str) -> Grant:
    """What a job's own token may do: what its file or itself says, and no more than whoever called it."""
    asked = opened.plan[key].permissions
    found = _levels(opened.file_of(key).permissions if asked is None else asked)
    caller = above(key)
    while caller:
        bound = opened.plan[caller].permissions
        top = _levels(opened.file_of(caller).permissions if bound is None else bound)
        found = {name: min(level, top.get(name, ""), key=LEVELS.index) for name, level in found.items()}
        caller = above(caller)
    kept = {name.replace("-", "_"): level for name, level in found.items() if level}
    return Grant({"metadata": "read", **kept}, login="")


def _levels(said: Any) -> dict[str, str]:
    if said is None:
        return dict(DEFAULT_PERMISSIONS)
    if isinstance(said, str):
        return dict.fromkeys(PERMISSIONS, said.removesuffix("-all")) if said in ("read-all", "write-all") else {}
    return {str(name): str(level).replace("none", "") for name, level in said.items()}
