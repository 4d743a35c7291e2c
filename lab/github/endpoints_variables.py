"""Endpoints that write the repository's variables (REST reference: Actions, Variables). Their names do not mind their case,
and a name that is taken is a conflict: who makes one knows that nobody else has."""

from __future__ import annotations

import re
from typing import Any

from lab.github import shapes
from lab.github.jobs import moment
from lab.github.router import Ask, Refused, Route, not_found
from lab.github.world import Named

Json = dict[str, Any]
NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]{0,254}")


def one(ask: Ask) -> Json:
    found = ask.world.variables.get(ask.names["name"].upper())
    if found is None:
        raise not_found()
    return shapes.variable(found)


def create(ask: Ask) -> Json:
    name, value = str(ask.body.get("name", "")).upper(), ask.body.get("value")
    if not NAME.fullmatch(name) or not isinstance(value, str):
        raise Refused(422, "Variable names may only contain alphanumeric characters or underscores.")
    if name in ask.world.variables:
        raise Refused(409, "Already exists - Variable already exists")
    _keep(ask, Named(name, moment(), moment(), value))
    ask.status = 201
    return {}


def update(ask: Ask) -> bytes:
    found = ask.world.variables.get(ask.names["name"].upper())
    if found is None:
        raise not_found()
    _keep(ask, Named(found.name, found.created, moment(), str(ask.body.get("value", found.value))))
    ask.status = 204
    return b""


def delete(ask: Ask) -> bytes:
    name = ask.names["name"].upper()
    if ask.world.variables.pop(name, None) is None:
        raise not_found()
    ask.world.written.pop(name, None)
    ask.status = 204
    return b""


def _keep(ask: Ask, made: Named) -> None:
    """Also when the world is laid anew, as with every fault."""
    ask.world.variables[made.name] = ask.world.written[made.name] = made


ROUTES = (
    Route("GET", "R/actions/variables/{name}", "actions_variables", one),
    Route("POST", "R/actions/variables", "actions_variables", create, level="write"),
    Route("PATCH", "R/actions/variables/{name}", "actions_variables", update, level="write"),
    Route("DELETE", "R/actions/variables/{name}", "actions_variables", delete, level="write"),
)
