"""GitHub's expressions, as far as workflow files here use them: `${{ … }}` in a text, and the condition of a job or a step.

The stand-in works out what a job is (whether it runs, where, under which lock), the runner what its steps are: so GitHub
shares it too. Contexts are nested mappings. What is not there is an empty text; a context that GitHub does not have, and a
function or sign that is not known here, is an error.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(-?\d+(?:\.\d+)?)|([A-Za-z_][\w-]*)|(\|\||&&|==|!=|<=|>=|[<>!().,\[\]*]))")
INSERTED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
STATUS = re.compile(r"\b(success|failure|cancelled|always)\s*\(")
Contexts = Mapping[str, Any]
NAMES = frozenset(
    {"github", "inputs", "needs", "jobs", "vars", "secrets", "env", "steps", "job", "runner", "matrix", "strategy"}
)
"""The contexts that GitHub has. One that is not given in a place is empty there."""


class BadExpression(ValueError):
    """An expression that the lab does not read."""


def text(source: str, contexts: Contexts) -> str:
    """The text with every `${{ … }}` worked out."""
    return INSERTED.sub(lambda found: said(value(found[1], contexts)), source)


def whole(source: str, contexts: Contexts) -> Any:
    """The value of a text that is one expression and nothing else, such as `${{ fromJSON(…) }}`; else the text."""
    found = INSERTED.fullmatch(source.strip())
    return value(found[1], contexts) if found else text(source, contexts)


def condition(source: str, contexts: Contexts) -> bool:
    """An `if:`, with or without its braces. One that asks for no status means `success() && …`."""
    found = INSERTED.fullmatch(source.strip())
    inner = found[1] if found else source
    if not STATUS.search(inner):
        inner = f"success() && ({inner})"
    return truthy(value(inner, contexts))


def truthy(found: Any) -> bool:
    """Every list and mapping is true, also an empty one."""
    return isinstance(found, (list, Mapping)) or bool(found)


def number(found: Any) -> float:
    """As GitHub makes a number of what is compared with one; what is none is NaN, which is equal to nothing."""
    if found is None or isinstance(found, bool | int | float):
        return float(found or 0)
    if not isinstance(found, str):
        return math.nan
    try:
        return float(found.strip() or 0)
    except ValueError:
        return math.nan


def same(found: Any, other: Any) -> bool:
    """Texts are compared without their case, unlike kinds as numbers, lists and mappings by being the same one."""
    if isinstance(found, str) and isinstance(other, str):
        return found.casefold() == other.casefold()
    if isinstance(found, (list, Mapping)) or isinstance(other, (list, Mapping)):
        return found is other
    return number(found) == number(other)


def compared(found: Any, sign: str, other: Any) -> bool:
    if isinstance(found, str) and isinstance(other, str):
        pair: tuple[Any, Any] = (found.casefold(), other.casefold())
    else:
        pair = (number(found), number(other))
    return bool(
        {"<": pair[0] < pair[1], ">": pair[0] > pair[1], "<=": pair[0] <= pair[1], ">=": pair[0] >= pair[1]}[sign]
    )


def said(found: Any) -> str:
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, str):
        return found
    return "Object" if isinstance(found, Mapping) else "Array" if isinstance(found, list) else str(found)


def value(source: str, contexts: Contexts) -> Any:
    """Raises BadExpression."""
    tokens, at = [], 0
    source = source.strip()
    while at < len(source):
        found = TOKEN.match(source, at)
        if found is None:
            raise BadExpression(f"{source!r} at {source[at:]!r}")
        tokens.append(found)
        at = found.end()
    reader = _Reader(tokens, contexts)
    result = reader.either()
    if reader.left:
        raise BadExpression(f"{source!r} goes on where it should end")
    return result


class _Reader:
    def __init__(self, tokens: list[re.Match[str]], contexts: Contexts) -> None:
        self._tokens = tokens
        self._contexts = {name.casefold(): found for name, found in contexts.items()}

    @property
    def left(self) -> bool:
        return bool(self._tokens)

    def _next(self, *signs: str) -> str:
        """The sign that comes next and is one of these, taken; "" for another."""
        if self._tokens and self._tokens[0][4] in signs:
            return str(self._tokens.pop(0)[4])
        return ""

    def _must(self, sign: str) -> None:
        if not self._next(sign):
            raise BadExpression(f"{sign} is missing")

    def either(self) -> Any:
        found = self._both()
        while self._next("||"):
            other = self._both()
            found = found if truthy(found) else other
        return found

    def _both(self) -> Any:
        found = self._equal()
        while self._next("&&"):
            other = self._equal()
            found = other if truthy(found) else found
        return found

    def _equal(self) -> Any:
        found = self._order()
        while sign := self._next("==", "!="):
            other = self._order()
            found = same(found, other) if sign == "==" else not same(found, other)
        return found

    def _order(self) -> Any:
        found = self._not()
        while sign := self._next("<", ">", "<=", ">="):
            found = compared(found, sign, self._not())
        return found

    def _not(self) -> Any:
        return not truthy(self._not()) if self._next("!") else self._one()

    def _one(self) -> Any:
        if self._next("("):
            found = self.either()
            self._must(")")
            return found
        if not self._tokens:
            raise BadExpression("it ends too early")
        token = self._tokens.pop(0)
        if token[1] is not None:
            return token[1][1:-1].replace("''", "'")
        if token[2] is not None:
            return float(token[2]) if "." in token[2] else int(token[2])
        if token[3] is None:
            raise BadExpression(f"{token[4]!r} has no place there")
        name = token[3].casefold()
        if name in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[name]
        if self._next("("):
            return self._call(name)
        if name not in NAMES:
            raise BadExpression(f"Unrecognized named-value: {token[3]!r}")
        return self._below(self._contexts.get(name, ""))

    def _call(self, name: str) -> Any:
        given: list[Any] = []
        while not self._next(")"):
            given.append(self.either())
            self._next(",")
        if name in ("success", "failure", "cancelled", "always"):
            return name == "always" or self._contexts.get("job status", "success") == {
                "success": "success", "failure": "failure", "cancelled": "cancelled",
            }[name]  # fmt: skip
        if name not in FUNCTIONS:
            raise BadExpression(f"the lab knows no {name}()")
        try:
            return self._below(FUNCTIONS[name](*given))
        except (ValueError, IndexError, TypeError) as wrong:
            raise BadExpression(f"{name}(): {wrong}") from None

    def _below(self, found: Any) -> Any:
        while sign := self._next(".", "["):
            if sign == "[":
                key = self.either()
                self._must("]")
            else:
                key = self._tokens.pop(0)[3] if self._tokens else None
                if key is None:
                    raise BadExpression("the lab knows no filter such as .*")
            if isinstance(found, list) and isinstance(key, int):
                found = found[key] if key < len(found) else ""
            else:
                wanted = str(key).casefold()
                rows = found.items() if isinstance(found, Mapping) else ()
                found = next((inner for name, inner in rows if name.casefold() == wanted), "")
        return found


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "fromjson": lambda source: json.loads(said(source)),
    "tojson": lambda found: json.dumps(found, indent=2),
    "join": lambda rows, between=",": said(between).join(said(row) for row in rows) if isinstance(rows, list) else said(rows),
    "contains": lambda hay, needle: str(needle).casefold() in (
        [str(item).casefold() for item in hay] if isinstance(hay, list) else str(hay).casefold()
    ),
    "startswith": lambda source, start: str(source).casefold().startswith(str(start).casefold()),
    "endswith": lambda source, end: str(source).casefold().endswith(str(end).casefold()),
    "format": lambda source, *given: re.sub(r"\{(\d+)\}", lambda m: said(given[int(m[1])]), source),
}  # fmt: skip
