"""Every endpoint that the quick gate asks × every way in which an answer can fail: what is seen is the truth or nothing.

A fact that is neither unknown nor equal to the healthy one could turn into a deploy that should not be.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures import github as client
from fixtures.ask import Answer, Ask
from fixtures.facts.context import Context, GitHub, Limits, Source
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.github import Live
from fixtures.look import Questions, look
from fixtures.looks import LOOKS, Run
from fixtures.secrets import Redactor, Secret
from tests.inside import context
from tests.lab.standin import TOKEN, Standin, started

QUICK = (
    *("registrations", "github_clock", "environment", "secret_names", "workflows", "in_flight", "record", "artifacts"),
    *("queue", "variables", "runner_groups", "gate_token"),
)
SECONDS = 1.2

# What the fault is called, and its parameters.
WAYS: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "502": {"kind": "status", "status": 502},
    "503": {"kind": "status", "status": 503},
    "403": {"kind": "status", "status": 403},
    "429": {"kind": "rate-limited"},
    "429, wait a minute": {"kind": "rate-limited", "retry_after": 60},
    "secondary limit": {"kind": "secondary-limit"},
    "primary limit": {"kind": "primary-exhausted"},
    "token revoked": {"kind": "token-revoked"},
    "reset": {"kind": "reset"},
    "truncated": {"kind": "truncated"},
    "html": {"kind": "html"},
    "wrong shape": {"kind": "wrong-shape"},
    "empty body": {"kind": "empty-body"},
    "version refused": {"kind": "refused-version"},
}
PASSING = ("500", "502", "503", "reset", "truncated", "html", "empty body")
"""Ways that a second try overcomes."""


def endpoint(path: str) -> str:
    """A regular expression for the endpoint of a path, whatever ids stand in it. A `Link` may have another query."""
    plain = path.split("?")[0]
    plain = re.sub(r"(?<=/)\d{4,}(?=/|$)", "ID", plain)
    plain = re.sub(r"(?<=/)[0-9a-f]{40}(?=/|$)", "SHA", plain)
    pattern = re.escape(plain).replace("ID", r"\d+").replace("SHA", "[0-9a-f]{40}")
    status = re.search(r"[?&]status=(\w+)", path)
    return f"^GET {pattern}(\\?{'.*status=' + status[1] if status else ''}|$)"


class Watched(Ask):
    """Passes questions on, and keeps which look asked what."""

    def __init__(self, ask: Live) -> None:
        self._ask = ask
        self.asked: set[str] = set()

    def answer(self, path: str, again: int = 0) -> Answer:
        self.asked.add(path)
        return self._ask.answer(path, again)

    def wait(self, seconds: float) -> None:
        return None

    def relative(self, url: str) -> str | None:
        return self._ask.relative(url)


class Bench:
    """A stand-in, its healthy facts, and which looks ask at which endpoint."""

    def __init__(self, standin: Standin) -> None:
        self.standin = standin
        for name in ("prod-runner-01", "prod-runner-02"):
            standin.poll(name)
        self.run = Run(datetime.now(UTC).replace(microsecond=0))
        self.healthy: dict[str, Any] = {}
        self.asking: dict[str, set[str]] = {}
        ask = self.live(30)
        for name in QUICK:
            watched = Watched(ask)
            self.healthy[name] = self.fact(name, watched)
            for path in watched.asked:
                self.asking.setdefault(endpoint(path), set()).add(name)

    def world(self) -> Context:
        limits = Limits(deadline=timedelta(seconds=SECONDS))
        return context(github=GitHub("acme/widgets", Source(env="TOKEN"), api_url=self.standin.url), limits=limits)

    def live(self, seconds: float) -> Live:
        token = Secret(TOKEN)
        return Live(self.standin.url, token, Redactor((token,)), time.monotonic() + seconds)

    def fact(self, name: str, ask: Ask) -> Any:
        """What a look gives; the word `unknown` when it could not see."""
        try:
            found = LOOKS[name](ask, self.world(), self.run)
        except Unseen as unseen:
            assert unseen.what
            return "unknown"
        except NotApplicable:
            return "not applicable"
        if name == "github_clock":
            return (round(found[0] / 30), round(found[1] / 30))  # it ticks between two looks
        if name == "registrations":
            # Who polls grows silent while the tests go on.
            return tuple(replace(runner, online=True) for runner in found.runners)
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with started(tmp_path_factory.mktemp("standin")) as standin:
        yield Bench(standin)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Live, "wait", lambda _, seconds: time.sleep(min(seconds, 0.01)))


def test_healthy_everything_is_seen(bench: Bench) -> None:
    assert not {name for name, fact in bench.healthy.items() if fact in ("unknown", "not applicable")}
    assert len(bench.asking) >= 24


def judged(bench: Bench, way: str, **more: Any) -> dict[str, dict[str, Any]]:
    """For each endpoint, what the looks that ask there gave while it fails so."""
    found: dict[str, dict[str, Any]] = {}
    for where, names in bench.asking.items():
        bench.standin.fault("way", endpoint=where, **{**WAYS[way], **more})
        try:
            ask = bench.live(SECONDS * 4)
            found[where] = {name: bench.fact(name, ask) for name in sorted(names)}
        finally:
            bench.standin.order("DELETE", "fault/way")
    return found


@pytest.mark.parametrize("way", WAYS)
def test_an_endpoint_that_fails_hides_and_never_deceives(bench: Bench, way: str) -> None:
    for where, facts in judged(bench, way).items():
        for name, fact in facts.items():
            assert fact == "unknown", f"{name} with {way} at {where}: {fact!r}"


@pytest.mark.parametrize("way", PASSING)
def test_an_endpoint_that_fails_once_is_asked_again(bench: Bench, way: str) -> None:
    for where, facts in judged(bench, way, times=1).items():
        for name, fact in facts.items():
            assert fact == bench.healthy[name], f"{name} with {way} once at {where}"


def test_a_lost_permission_hides_also_where_github_masks_it(bench: Bench) -> None:
    """404 instead of 403. A lock that nobody holds is a 404 as well; there its runs were seen by the same permission."""
    for permission in ("administration", "secrets", "contents", "deployments", "environments", "actions_variables"):
        for mask in (False, True):
            bench.standin.fault("way", kind="permission-lost", permission=permission, mask=mask)
            try:
                ask = bench.live(SECONDS * 4)
                facts = {name: bench.fact(name, ask) for name in QUICK}
            finally:
                bench.standin.order("DELETE", "fault/way")
            changed = {name for name, fact in facts.items() if fact != bench.healthy[name]}
            assert changed, permission
            assert all(facts[name] == "unknown" for name in changed), (permission, mask)


def test_a_silent_endpoint_never_holds_the_look_past_its_deadline(bench: Bench) -> None:
    for where, names in bench.asking.items():
        bench.standin.fault("way", kind="stall", endpoint=where)
        started_at = time.monotonic()
        try:
            questions = Questions(frozenset(), frozenset(names), False)
            looked = look(bench.world(), (), questions, bench.run, Secret(TOKEN), lambda _: None)
            took = time.monotonic() - started_at
        finally:
            bench.standin.order("DELETE", "fault/way")
        assert took < SECONDS + 1.5, where
        for name in names:
            assert bench.fact(name, looked.seen.ask) == "unknown", f"{name} at {where}"


def test_the_client_waits_for_no_answer_longer_than_the_gate_does() -> None:
    assert Limits().deadline.total_seconds() >= client.CONNECT_SECONDS + client.READ_SECONDS
