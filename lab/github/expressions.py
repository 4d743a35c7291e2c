"""GitHub's expressions, as far as the lab's workflow files use them: `${{ … }}` in a text, and the condition of a job.

Contexts are nested mappings. What is not there is an empty text, as it is to GitHub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(-?\d+(?:\.\d+)?)|([A-Za-z_][\w-]*)|(\|\||&&|==|!=|[!().,\[\]*]))")
INSERTED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
Contexts = Mapping[str, Any]


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
    if not re.search(r"\b(success|failure|cancelled|always)\s*\(", inner):
        inner = f"success() && ({inner})"
    return bool(value(inner, contexts))


def said(found: Any) -> str:
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return found if isinstance(found, str) else json.dumps(found) if isinstance(found, (dict, list)) else str(found)


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
            found = found or other
        return found

    def _both(self) -> Any:
        found = self._equal()
        while self._next("&&"):
            other = self._equal()
            found = found and other
        return found

    def _equal(self) -> Any:
        found = self._not()
        while sign := self._next("==", "!="):
            other = self._not()
            same = (
                found.casefold() == other.casefold()
                if isinstance(found, str) and isinstance(other, str)
                else found == other
            )
            found = same if sign == "==" else not same
        return found

    def _not(self) -> Any:
        return not self._not() if self._next("!") else self._one()

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
        return self._below(FUNCTIONS[name](*given))

    def _below(self, found: Any) -> Any:
        while sign := self._next(".", "["):
            if sign == "[":
                key = self.either()
                self._must("]")
            else:
                key = self._tokens.pop(0)[3]
            if isinstance(found, list) and isinstance(key, int):
                found = found[key] if key < len(found) else ""
            else:
                wanted = str(key).casefold()
                rows = found.items() if isinstance(found, Mapping) else ()
                found = next((inner for name, inner in rows if name.casefold() == wanted), "")
        return found


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "fromjson": lambda source: json.loads(source) if source else "",
    "tojson": json.dumps,
    "contains": lambda hay, needle: str(needle).casefold() in (
        [str(item).casefold() for item in hay] if isinstance(hay, list) else str(hay).casefold()
    ),
    "startswith": lambda source, start: str(source).casefold().startswith(str(start).casefold()),
    "endswith": lambda source, end: str(source).casefold().endswith(str(end).casefold()),
    "format": lambda source, *given: re.sub(r"\{(\d+)\}", lambda m: said(given[int(m[1])]), source),
}  # fmt: skip
