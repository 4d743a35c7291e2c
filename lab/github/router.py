"""One question to the API, and what an endpoint answers: the parts that every endpoint shares.

Pages (`per_page` ≤ 100, default 30; `Link` in the `/repositories/{id}/…` form that recorded answers show), cursors,
errors in GitHub's `basic-error` shape, and the route table's grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote, urlencode

if TYPE_CHECKING:
    from lab.github.actions import Actions
from lab.github.world import ORG_ID, REPO_ID, Runner, World

T = TypeVar("T")
DOCS = "https://docs.github.com/rest"


class Refused(Exception):
    """An answer that is no 200: `status`, GitHub's words for it, and headers of its own."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {"message": message, "documentation_url": DOCS, "status": str(status)} | more


def not_found() -> Refused:
    return Refused(404, "Not Found")


@dataclass
class Ask:
    """What was asked, of which world. `base` is the address the client used, so that every URL in an answer works."""

    world: World
    base: str
    path: str
    query: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)
    online: Callable[[Runner, str], bool] = lambda _runner, _path: False
    rate: Mapping[str, int] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    body: Mapping[str, Any] = field(default_factory=dict)
    """What was sent, for those that change something."""
    login: str = ""
    """Whose token asks; "" for an installation's."""
    version: str = ""
    actions: Actions | None = None
    status: int = 200
    """Of the answer, where it is none of the errors."""

    def number(self, name: str) -> int:
        try:
            return int(self.names[name])
        except ValueError:
            raise not_found() from None

    def _count(self, name: str, default: int) -> int:
        text = self.query.get(name, "")
        return int(text) if text.isdecimal() and int(text) > 0 else default

    @property
    def per_page(self) -> int:
        return min(self._count("per_page", 30), 100)

    def page(self, items: Sequence[T]) -> Sequence[T]:
        """The asked page of `items`, and `Link` for the others."""
        size, page = self.per_page, self._count("page", 1)
        last = max(1, -(-len(items) // size))
        if page > 1:
            self._link("prev", page=min(page - 1, last))
        if page < last:
            self._link("next", page=page + 1)
            self._link("last", page=last)
        if page > 1:
            self._link("first", page=1)
        return items[(page - 1) * size : page * size]

    def _link(self, relation: str, **changed: object) -> None:
        keep = {k: v for k, v in self.query.items() if k not in ("page", "after", "before")}
        address = urlencode(keep | {k: str(v) for k, v in changed.items()}, quote_via=quote)
        self.links.append(f'<{self.base}{by_id(self.path)}?{address}>; rel="{relation}"')

    def wrapped(self, key: str, items: Sequence[T], render: Callable[[T], Any]) -> dict[str, Any]:
        """`{"total_count": …, key: […]}`, paged."""
        return {"total_count": len(items), key: [render(item) for item in self.page(items)]}

    def bare(self, items: Sequence[T], render: Callable[[T], Any]) -> list[Any]:
        return [render(item) for item in self.page(items)]

    def by_cursor(self, key: str, items: Sequence[T], name: Callable[[T], str], render: Callable[[T], Any]) -> Any:
        """As `wrapped`, by `after`. GitHub's cursor is opaque; here it is the name of the last item shown."""
        ordered = sorted(items, key=name)
        rest = [item for item in ordered if name(item) > self.query.get("after", "")]
        shown = rest[: self.per_page]
        if len(rest) > len(shown):
            self._link("next", after=name(shown[-1]))
        return {"total_count": len(items), key: [render(item) for item in shown]}


def by_id(path: str) -> str:
    """`/repos/o/r/…` and `/orgs/o/…` in the form that GitHub's own `Link` has."""
    path = re.sub(r"^/repos/[^/]+/[^/]+", f"/repositories/{REPO_ID}", path)
    return re.sub(r"^/orgs/[^/]+", f"/organizations/{ORG_ID}", path)


def by_name(path: str, world: World) -> str:
    """The reverse of `by_id`, with the names in their own case: GitHub does not mind the case of either."""
    path = re.sub(rf"^/repositories/{REPO_ID}(?=/|$)", f"/repos/{world.full_name}", path)
    path = re.sub(rf"^/organizations/{ORG_ID}(?=/|$)", f"/orgs/{world.owner}", path)
    path = re.sub(rf"^/repos/{re.escape(world.full_name)}(?=/|$)", f"/repos/{world.full_name}", path, flags=re.I)
    return re.sub(rf"^/orgs/{re.escape(world.owner)}(?=/|$)", f"/orgs/{world.owner}", path, flags=re.I)


@dataclass(frozen=True)
class Route:
    """`template` has `{name}` for one segment and `{name*}` for the rest of the path; `R` is `/repos/{o}/{r}`.

    `needs` is the permission that the answer's `X-Accepted-GitHub-Permissions` names; "" for none.
    """

    method: str
    template: str
    needs: str
    answer: Callable[[Ask], Any]
    level: str = "read"

    def pattern(self, world: World) -> re.Pattern[str]:
        text = self.template.replace("ORG", f"/orgs/{world.owner}")
        text = f"/repos/{world.full_name}{text[1:]}" if text.startswith("R") else text
        parts = re.split(r"(\{\w+\*?\})", text)
        return re.compile("".join(_segment(part) for part in parts))


def _segment(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    name = part.strip("{}")
    return f"(?P<{name[:-1]}>.*)" if name.endswith("*") else f"(?P<{name}>[^/]+)"


@dataclass(frozen=True)
class Found:
    route: Route
    names: Mapping[str, str]


class Router:
    def __init__(self, world: World, routes: Iterable[Route]) -> None:
        self._routes = [(route.method, route.pattern(world), route) for route in routes]

    def find(self, method: str, path: str) -> Found | None:
        """The route of a path that is already by name. A segment may hold an encoded slash."""
        for wanted, pattern, route in self._routes:
            match = pattern.fullmatch(path) if wanted == method else None
            if match:
                return Found(route, {name: unquote(text) for name, text in match.groupdict().items()})
        return None
