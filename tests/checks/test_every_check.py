"""What is true of every check there is: nothing seen is nothing proved, whichever part of the looking failed.

A check is called as pytest would call it: its arguments are made by the functions behind the fixtures of that name.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

import checks
from fixtures import elsewhere, given, looks_drills, looks_watched
from fixtures.ask import Answer, Recorded
from fixtures.elsewhere import SOURCES
from fixtures.facts.context import Runner
from fixtures.facts.seen import HostSeen, NotApplicable, Unseen
from fixtures.known import Known
from fixtures.seen import Seen
from tests import worlds

CONTEXT, RUN, HOSTS, BASE = worlds.healthy()
ANSWERS = {key: Answer(**raw) for key, raw in worlds.healthy_answers().items()}
PRIMARY = CONTEXT.primary
# What each of the other sources said, by source and question.
ELSEWHERE: dict[str, dict[str, Answer]] = {
    source: {key: Answer(**raw) for key, raw in json.loads((worlds.HEALTHY / f"{source}.json").read_text()).items()}
    for source in SOURCES
    if source not in (looks_drills.SOURCE, looks_watched.SOURCE)
}
# The stories that drills told in the lab, a file each as seen/drills.json held it: nobody records a whole night with them.
ELSEWHERE[looks_drills.SOURCE] = {
    path.stem: Answer(**json.loads(path.read_text())) for path in sorted(worlds.DRILLS.glob("*.json"))
}

ELSEWHERE[looks_watched.SOURCE] = {"watched": ELSEWHERE[looks_drills.SOURCE].pop("watched")}

Check = Callable[..., None]


def _modules() -> list[Any]:
    names = sorted(path.stem for path in (worlds.ROOT / "checks").glob("test_*.py"))
    return [__import__(f"{checks.__name__}.{name}", fromlist=["x"]) for name in names]


CHECKS: dict[str, Check] = {
    mark.kwargs["id"]: check
    for module in _modules()
    for _, check in inspect.getmembers(module, inspect.isfunction)
    for mark in getattr(check, "pytestmark", [])
    if mark.name == "guarantee"
}
# What a check takes without anybody looking at anything.
GIVEN = {"world", "runner", "today", "now", "limits", "approved"}
FIXTURES = {
    getattr(f, "name", None) or n: inspect.unwrap(f) for n, f in vars(given).items() if hasattr(f, "__wrapped__")
}


class Watched(Recorded):
    """A recording that keeps which of its answers were asked for."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers, BASE)
        self.asked: list[str] = []

    def answer(self, path: str, again: int = 0) -> Answer:
        self.asked.append(path)
        return super().answer(path, again)


class Hosts(dict[str, HostSeen]):
    """Hosts that keep which of them were asked for."""

    def __init__(self, hosts: Mapping[str, HostSeen]) -> None:
        super().__init__(hosts)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def value(name: str, known: Known, runner: Runner) -> Any:
    """An argument of that name."""
    if name == "known":
        return known
    if name == "runner":
        return runner
    make = FIXTURES[name]
    return make(**{inner: value(inner, known, runner) for inner in inspect.signature(make).parameters})


def closure(name: str) -> set[str]:
    inner = inspect.signature(FIXTURES[name]).parameters if name in FIXTURES else ()
    return {name}.union(*(closure(n) for n in inner))


def outcome(check: Check, known: Known, runner: Runner = PRIMARY) -> str:
    """As the verdict would have it. Every other exception is a fault of ours, and comes through."""
    try:
        check(**{name: value(name, known, runner) for name in inspect.signature(check).parameters})
    except AssertionError:
        return "broken"
    except Unseen as unseen:
        return "unknown" if unseen.what else "a silent unknown"
    except NotApplicable as why:
        return "not applicable" if why.reason else "a silent not applicable"
    return "held"


def look(
    answers: Mapping[str, Answer] = ANSWERS,
    hosts: Mapping[str, HostSeen] = HOSTS,
    elsewhere: Mapping[str, Mapping[str, Answer]] = ELSEWHERE,
) -> tuple[Known, Watched, Hosts]:
    ask, seen = Watched(answers), Hosts(hosts)
    others = {source: Watched(some) for source, some in elsewhere.items()}
    return Known(Seen(RUN, seen, ask, elsewhere=others), CONTEXT), ask, seen


def closure_of(check: Check) -> set[str]:
    return set().union(*(closure(name) for name in inspect.signature(check).parameters))


ELSEWHERE_FACTS = set(elsewhere.ELSEWHERE)
LOOKING = [name for name, check in CHECKS.items() if set(inspect.signature(check).parameters) - GIVEN]


def test_every_check_is_here() -> None:
    assert len(CHECKS) >= 23
    assert set(CHECKS) - set(LOOKING) <= {"failover/standby-approved"}, "all others look at something"


@pytest.mark.parametrize("which", CHECKS)
def test_its_arguments_are_facts(which: str) -> None:
    names = set(inspect.signature(CHECKS[which]).parameters)
    assert names - {"runner"} <= FIXTURES.keys()
    mark = next(m for m in CHECKS[which].pytestmark if m.name == "guarantee")  # type: ignore[attr-defined]
    assert ("runner" in names) == (mark.kwargs["per"] == "runner")
    assert inspect.getdoc(CHECKS[which]), "a claim that is true when green"


@pytest.mark.parametrize("which", CHECKS)
@pytest.mark.parametrize("runner", CONTEXT.runners, ids=str)
def test_in_the_healthy_lab_nothing_is_broken(which: str, runner: Runner) -> None:
    known, ask, _ = look()
    told = outcome(CHECKS[which], known, runner)
    missing = [path for path in ask.asked if path not in ANSWERS]
    assert told == ("unknown" if missing else "held") or (told == "not applicable" and not missing)


@pytest.mark.parametrize("which", LOOKING)
def test_nothing_seen_is_nothing_proved(which: str) -> None:
    known, _, _ = look({}, {}, {})
    assert outcome(CHECKS[which], known) == "unknown"


@pytest.mark.parametrize("which", LOOKING)
def test_any_answer_missing_is_nothing_proved(which: str) -> None:
    """One answer of GitHub, one host, or one section of a host: each that a check has read, taken away."""
    known, ask, hosts = look()
    outcome(CHECKS[which], known)
    for path in list(dict.fromkeys(ask.asked))[:40]:
        gone = {key: answer for key, answer in ANSWERS.items() if key != path}
        assert outcome(CHECKS[which], look(gone)[0]) == "unknown", path
        refused = {**ANSWERS, path: Answer(0, failure="it broke", try_="mend it")}
        assert outcome(CHECKS[which], look(refused)[0]) == "unknown", path
        forbidden = {**ANSWERS, path: Answer(403, {"message": "no"})}
        assert outcome(CHECKS[which], look(forbidden)[0]) == "unknown", path
    for name in hosts.asked:
        assert outcome(CHECKS[which], look(ANSWERS, {k: v for k, v in HOSTS.items() if k != name})[0]) == "unknown"
        cut = replace(HOSTS[name], reach="auth", sentence="the key is not accepted", sections={})
        assert outcome(CHECKS[which], look(ANSWERS, {**HOSTS, name: cut})[0]) == "unknown"


@pytest.mark.parametrize("which", [n for n in LOOKING if closure_of(CHECKS[n]) & ELSEWHERE_FACTS])
def test_any_answer_from_elsewhere_missing_is_nothing_proved(which: str) -> None:
    """One answer of the monitoring, or of the files, that a check has read, taken away or turned into nonsense."""
    known, _, _ = look()
    before = outcome(CHECKS[which], known)
    assert before in ("held", "not applicable")
    asked = {source: list(dict.fromkeys(ask.asked)) for source, ask in known.seen.elsewhere.items()}  # type: ignore[attr-defined]
    assert any(asked.values())
    for source, paths in asked.items():
        for path in paths:
            for answer in (None, Answer(0, failure="it broke", try_="mend it"), Answer(200, {}), Answer(200, [{}])):
                some = {key: old for key, old in ELSEWHERE[source].items() if key != path}
                others = {**ELSEWHERE, source: some | ({path: answer} if answer else {})}
                told = outcome(CHECKS[which], look(elsewhere=others)[0])
                assert told == "unknown", f"{path}: {answer}"


SECTIONS = sorted({name for runner in CONTEXT.runners for name in HOSTS[runner.name].sections})


@pytest.mark.parametrize("which", [name for name in LOOKING if "runner" in inspect.signature(CHECKS[name]).parameters])
@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("state", ["timeout", "capped", "lost", "gone", "empty"])
def test_half_an_answer_of_a_host_proves_no_more(which: str, section: str, state: Any) -> None:
    mine = HOSTS[PRIMARY.name]
    rest = {name: out for name, out in mine.sections.items() if name != section}
    if state == "empty":
        rest[section] = replace(mine.sections[section], out="")
    elif state != "gone":
        rest[section] = replace(mine.sections[section], state=state)
    hosts = {**HOSTS, PRIMARY.name: replace(mine, sections=rest)}
    before = outcome(CHECKS[which], look()[0])
    assert outcome(CHECKS[which], look(ANSWERS, hosts)[0]) in (before, "unknown")
    reads = section in closure_of(CHECKS[which]) or (section == "hello" and "host_clock" in closure_of(CHECKS[which]))
    assert not reads or outcome(CHECKS[which], look(ANSWERS, hosts)[0]) == "unknown"


# All of these can be answered for a repository that has nothing.
GITHUB = {"registrations", "environment", "secret_names", "workflows", "in_flight", "record", "artifacts", "durations"}


def emptied(body: Any) -> Any:
    """The same answer over a world that has none of it."""
    if isinstance(body, list):
        return []
    if isinstance(body, dict) and any(isinstance(v, list) for v in body.values()) and "total_count" in body:
        return {key: [] if isinstance(v, list) else v for key, v in body.items()}
    return body


@pytest.mark.parametrize("which", [name for name in LOOKING if closure_of(CHECKS[name]) & GITHUB])
def test_in_an_empty_github_nothing_holds(which: str) -> None:
    """GitHub answers, and has nothing: no runner, no workflow, no environment, no deployment, no secret."""
    answers = {key: replace(answer, body=emptied(copy.deepcopy(answer.body))) for key, answer in ANSWERS.items()}
    assert outcome(CHECKS[which], look(answers)[0]) != "held"
