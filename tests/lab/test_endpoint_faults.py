"""Every question that the quick gate puts to GitHub, times every way in which GitHub or the way to it may fail.

Which questions there are is not written down: the gate is run once against a healthy stand-in, and what it asked is what
is struck. Each fault strikes the real client over real HTTP. What then may be: a check that read the question is
unknown, or holds after a retry; nothing else changes; nothing is broken by a fault of the way; a deploy is said only
where every check held.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fixtures import ask as asking
from fixtures.ask import Answer, Ask, Recorded
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.github import Live, fresh
from fixtures.identity import WHO
from fixtures.known import Known
from fixtures.look import Questions, look
from fixtures.looks import LOOKS, Run
from fixtures.secrets import Redactor, Secret
from tests.checks.test_every_check import CHECKS, outcome
from tests.lab.judging import DEADLINE, LOOKED, QUICK, Said, alive, judged, marks, said, seen_by, world
from tests.lab.standin import TOKEN, Standin, started

SPARE = 3.0  # for a busy machine, beyond the deadline and its grace


@dataclass(frozen=True)
class Fault:
    """One way to fail. `passes`: it strikes so rarely that a retry gets through. `lists`: it can only show in a list.
    `limit`: whoever meets it makes all others wait."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    passes: bool = False
    lists: bool = False
    limit: bool = False


FAULTS = (
    Fault("500", {"kind": "status", "status": 500}),
    Fault("502 twice", {"kind": "status", "status": 502, "times": 2}, passes=True),
    Fault("503", {"kind": "status", "status": 503}),
    Fault("504", {"kind": "status", "status": 504}),
    Fault("429, come back late", {"kind": "rate-limited", "retry_after": 120}, limit=True),
    Fault("429, come back at once", {"kind": "rate-limited", "retry_after": 0, "times": 1}, passes=True),
    Fault("429, nothing said", {"kind": "rate-limited"}, limit=True),
    Fault("secondary limit", {"kind": "secondary-limit"}, limit=True),
    Fault("secondary limit, come back at once", {"kind": "secondary-limit", "retry_after": 0, "times": 1}, passes=True),
    Fault("primary limit", {"kind": "primary-exhausted"}, limit=True),
    Fault("stall", {"kind": "stall"}),
    Fault("reset", {"kind": "reset"}),
    Fault("reset once", {"kind": "reset", "times": 1}, passes=True),
    Fault("truncated", {"kind": "truncated"}),
    Fault("truncated twice", {"kind": "truncated", "times": 2}, passes=True),
    Fault("html", {"kind": "html"}),
    Fault("html once", {"kind": "html", "times": 1}, passes=True),
    Fault("wrong type", {"kind": "content-type"}),
    Fault("wrong shape", {"kind": "wrong-shape"}),
    Fault("empty body", {"kind": "empty-body"}),
    Fault("huge", {"kind": "huge"}),
    Fault("403", {"kind": "status", "status": 403, "message": "Resource not accessible by personal access token"}),
    Fault("404", {"kind": "status", "status": 404, "message": "Not Found"}),
    Fault("401", {"kind": "token-revoked"}),
    Fault("410", {"kind": "refused-version"}),
    Fault("moved", {"kind": "moved"}),
    Fault("old answer", {"kind": "clock", "seconds": -600}),
    Fault("half a list", {"kind": "short"}, lists=True),
)

ABSENT = {
    # A lock that nobody holds is a 404, and there is no other answer; the list of all locks shows that they are served.
    "/concurrency_groups/production": frozenset[str](),
    # That a commit is gone is what the check looks for.
    "/commits/": frozenset({"rollback/last-good-known"}),
    # Runs are deleted to clean up; then a deployment is of its own commit (contexts/rollback.md, release-on-target).
    "/actions/runs/ID": frozenset[str](),
}
"""Where a 404 of GitHub's own is an answer: the checks that it breaks."""

BARE = ("/contents/", "/statuses", "/deployments", "/branches")
"""Lists that count nothing: half of one looks like all of it (GitHub promises no count there)."""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    """With both runners polling, as agents do."""
    ended = threading.Event()

    def poll(standin: Standin) -> None:
        while not ended.wait(1.0):
            alive(standin)

    with started(tmp_path_factory.mktemp("standin")) as standin:
        alive(standin)
        thread = threading.Thread(target=poll, args=(standin,), daemon=True)
        thread.start()
        yield standin
        ended.set()
        thread.join()


@pytest.fixture
def github(process: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    process.order("DELETE", "fault")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return process


class Struck(Ask):
    """Answers from a healthy look, save the struck question and what nobody asked then: those go to the service."""

    def __init__(self, live: Live, healthy: Mapping[str, Answer], struck: re.Pattern[str]) -> None:
        self._live, self._healthy, self._struck = live, healthy, struck
        self.answers: dict[str, Answer] = {}

    def answer(self, path: str, again: int = 0) -> Answer:
        key = asking.name(path, again)
        if key in self._healthy and not self._struck.search(f"GET {path}"):
            return self.answers.setdefault(key, self._healthy[key])
        return self.answers.setdefault(key, self._live.answer(path, again))

    def wait(self, seconds: float) -> None:
        return None

    def relative(self, url: str) -> str | None:
        return self._live.relative(url)


def question(path: str) -> str:
    """A question, whatever it is about: numbers and shas are any, the size of a page is none."""
    path = re.sub(r"[?&]per_page=\d+", lambda m: m[0][0], path).replace("?&", "?").removesuffix("?")
    return re.sub(r"\b[0-9a-f]{40}\b", "SHA", re.sub(r"/\d+", "/ID", path))


def pattern(asked: str) -> str:
    """The stand-in's regular expression that strikes a question."""
    path, _, query = asked.partition("?")
    text = re.escape(path).replace("/ID", r"/\d+").replace("SHA", "[0-9a-f]{40}")
    shaped = re.escape(query).replace("SHA", "[0-9a-f]{40}")
    return rf"^GET {text}(\?.*{shaped}|$|\?[^?]*$)" if not query else rf"^GET {text}\?.*{shaped}"


@dataclass(frozen=True)
class Healthy:
    answers: Mapping[str, Answer]
    questions: tuple[str, ...]
    readers: Mapping[str, frozenset[str]]
    """By question, the checks that read it."""
    run: Run
    requests: int


class Reading(Ask):
    """Passes on, and keeps the questions."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.asked: set[str] = set()

    def answer(self, path: str, again: int = 0) -> Answer:
        self.asked.add(question(path))
        return self._ask.answer(path, again)

    def wait(self, seconds: float) -> None:
        return None

    def relative(self, url: str) -> str | None:
        return self._ask.relative(url)


@pytest.fixture(scope="module")
def healthy(process: Standin, tmp_path_factory: pytest.TempPathFactory) -> Healthy:
    """The gate's look at a healthy stand-in: what it asked, and which check read what."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    context = world(process)
    run = Run(datetime.now(UTC).replace(microsecond=0))
    looked = look(context, (), Questions.of(LOOKED), run, Secret(TOKEN), lambda _: None)
    patch.undo()
    found = said(seen_by(looked.seen.ask, run), context)
    assert found.verdict.word == "deploy", found
    readers: dict[str, set[str]] = {}
    for which in QUICK:
        reading = Reading(looked.seen.ask)
        for runner in context.approved(run.now.date()):
            outcome(CHECKS[which], Known(seen_by(reading, run), context), runner)
        for asked in reading.asked:
            readers.setdefault(asked, set()).add(which)
    frozen = {asked: frozenset(checks) for asked, checks in readers.items()}
    return Healthy(looked.answers, tuple(sorted(frozen)), frozen, run, len(looked.answers))


def test_the_gate_asks_what_is_struck(healthy: Healthy) -> None:
    """Every answer that the look fetched is read by a check, and is one of the questions that are struck below."""
    asked = {question(path) for path in healthy.answers if path != WHO}
    assert asked == set(healthy.questions)
    assert len(asked) > 25
    for one in asked:
        struck = [path for path in healthy.answers if re.search(pattern(one), f"GET {path}")]
        assert struck, one
        assert {question(path) for path in struck} == {one}, one


def expected(fault: Fault, asked: str, readers: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Which checks must be unknown, and which broken."""
    none = frozenset[str]()
    if fault.passes:
        return none, none
    if fault.name == "404":
        for part, breaks in ABSENT.items():
            if part in asked:
                # What stands on a release that is gone cannot be told.
                return none, breaks
    return readers, none


def strike(github: Standin, healthy: Healthy, fault: Fault, asked: str, seconds: float) -> Said:
    """One question, one fault, all others as they were."""
    github.order("DELETE", "fault")
    github.fault("struck", **{**fault.params, "endpoint": pattern(asked)})
    token = Secret(TOKEN)
    live = Live(github.url, token, Redactor((token,)), time.monotonic() + seconds)
    setattr(live, "wait", lambda _: None)  # noqa: B010
    ask = Struck(live, healthy.answers, re.compile(pattern(asked)))
    for look_ in LOOKED:
        with contextlib.suppress(Unseen, NotApplicable):
            LOOKS[look_](ask, world(github), healthy.run)
    # As the look leaves them behind.
    return said(seen_by(Recorded(fresh(ask.answers), github.url), healthy.run), world(github))


def applies(fault: Fault, asked: str, healthy: Healthy) -> bool:
    if not fault.lists:
        return True
    bodies = [answer.body for path, answer in healthy.answers.items() if re.search(pattern(asked), f"GET {path}")]
    return not any(part in asked for part in BARE) and any(
        isinstance(body, dict) and body.get("total_count") and "concurrency" not in asked for body in bodies
    )


def check(found: Said, fault: Fault, asked: str, healthy: Healthy) -> None:
    unknown, broken = expected(fault, asked, healthy.readers[asked])
    why = f"{fault.name} at {asked}"
    assert found.those("broken") == broken, why
    assert found.those("unknown") >= unknown, why
    extra = found.those("unknown") - healthy.readers[asked]
    assert fault.limit or not extra, f"{why}: {extra}"
    # A limit is the token's: it costs what was not asked yet as well.
    lost = found.those("unknown") if fault.limit else unknown
    blocking = [which for which in lost | broken if marks(which)["severity"] == "blocks"]
    assert (found.verdict.word == "deploy") is not bool(blocking), f"{why}: {found.verdict.line}"


def pairs(healthy: Healthy) -> list[tuple[Fault, str]]:
    return [(f, asked) for f in FAULTS for asked in healthy.questions if applies(f, asked, healthy)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_at_some_questions(github: Standin, healthy: Healthy, fault: Fault) -> None:
    """Every fault at a share of the questions, so that together every question is struck; all pairs are `slow`."""
    some = [asked for f, asked in pairs(healthy) if f is fault]
    place = FAULTS.index(fault)
    share = 1 if fault.name in ("stall", "huge") else 4
    for step in range(share):
        asked = some[(place * share + step * 7) % len(some)]
        check(strike(github, healthy, fault, asked, 1.0 if fault.name == "stall" else DEADLINE), fault, asked, healthy)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_at_every_question(github: Standin, healthy: Healthy, fault: Fault) -> None:
    """The whole look over HTTP with the fault at one question, for every question; and never past the deadline."""
    context = world(github)
    for asked in (asked for f, asked in pairs(healthy) if f is fault):
        github.order("DELETE", "fault")
        github.fault("struck", **{**fault.params, "endpoint": pattern(asked)})
        alive(github)
        began = time.monotonic()
        found, _ = judged(context)
        took = time.monotonic() - began
        check(found, fault, asked, healthy)
        assert took < DEADLINE + SPARE, f"{fault.name} at {asked}: {took:.1f} s"


EVERYWHERE: tuple[tuple[str, Callable[[Standin], None]], ...] = tuple(
    (fault.name, lambda github, fault=fault: github.fault("struck", **fault.params))  # type: ignore[misc]
    for fault in FAULTS
    if not fault.passes and not fault.lists and fault.name != "old answer"
)


@pytest.mark.parametrize(("name_", "strikes"), EVERYWHERE, ids=[name_ for name_, _ in EVERYWHERE])
def test_a_fault_everywhere(
    github: Standin, healthy: Healthy, name_: str, strikes: Callable[[Standin], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole look, every answer struck: no check that asks GitHub holds, none is broken, and it ends in time."""
    monkeypatch.setattr(Live, "wait", lambda *_: None)
    if name_ == "huge":
        pytest.skip("thirty times fifty megabytes; one at a time is struck above")
    strikes(github)
    context = world(github)
    if name_ == "stall":
        context = replace(context, limits=replace(context.limits, deadline=type(context.limits.deadline)(seconds=1)))
    began = time.monotonic()
    found, _ = judged(context)
    assert time.monotonic() - began < DEADLINE + SPARE
    readers = frozenset[str]().union(*healthy.readers.values())
    assert found.verdict.word == "unknown"
    assert found.those("unknown") == readers
    assert not found.those("broken")


def test_a_flapping_runner_is_asked_twice_and_cleared(github: Standin) -> None:
    github.fault("runner-flaps")
    assert judged(world(github))[0].verdict.word == "deploy"


def test_a_clock_of_githubs_that_is_wrong_clears_nobody(github: Standin) -> None:
    """Which of the clocks is wrong cannot be told; a runner whose clock differs from GitHub's is not fit."""
    github.fault("clock", seconds=3600)
    found, _ = judged(world(github))
    assert found.those("broken") == {"runner-health/clock-true"}
    assert found.verdict.word == "hold", (found.verdict.line, found.outcomes)
