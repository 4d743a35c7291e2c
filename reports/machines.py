"""What other programs read of a run: history, `summary.md`, `metrics.prom`, JUnit and annotations.

verdict.json is the gate's own (fixtures/recorded.py). A file that cannot be made is said so, and takes no verdict away.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from _pytest.junitxml import xml_key

from fixtures.facts.history import rate
from fixtures.gate import Gate
from fixtures.secrets import ROOM
from fixtures.verdict import Verdict
from reports import history, metrics, summary
from reports.history import NOTHING, Trends
from reports.place import history_of, place_of, write
from reports.told import seen, told

JUNIT = "junit.xml"
TRENDS = pytest.StashKey[Trends]()


def trends_of(config: pytest.Config) -> Trends:
    return config.stash.get(TRENDS, NOTHING)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The first act: what an earlier run left for machines must not be taken for this one's."""
    if place := place_of(config):
        for name in (summary.NAME, metrics.NAME, JUNIT):
            with suppress(OSError):
                (place / name).unlink(missing_ok=True)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """JUnit is always written; `--junit-xml` says where else. Before pytest's own writer reads the option."""
    place = place_of(config)
    if place and not config.option.xmlpath:
        config.option.xmlpath = str(place / JUNIT)
    if place:
        config.pluginmanager.register(Names(config), "preflight-names")


class Names:
    """JUnit names a check as everything else does: the guarantee is its class, `slug[runner]` its name.

    Not by properties of the test case: the schema that Jenkins holds it against has none there.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        raw, xml = getattr(report, "preflight", None), self._config.stash.get(xml_key, None)
        if raw and xml:
            node = xml.node_reporter(report)
            node.add_attribute("classname", raw["guarantee"])
            node.add_attribute("name", raw["check"].split("/")[1] + (f"[{raw['runner']}]" if raw["runner"] else ""))


def pytest_preflight_verdict(config: pytest.Config, gate: Gate, verdict: Verdict) -> None:
    def guarded(what: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            why = f"{what} could not be written: {type(error).__name__}: {error}"
            config.hook.pytest_preflight_progress(config=config, line=why)

    guarded("the history", lambda: _history(config, gate, verdict))
    guarded(summary.NAME, lambda: _summary(config, gate, verdict))
    if gate.call.profile and not gate.call.seen:
        guarded(metrics.NAME, lambda: _metrics(gate, verdict))


def _history(config: pytest.Config, gate: Gate, verdict: Verdict) -> None:
    """A replay reads the history that its recording brought, so that its cards are the same."""
    call = gate.call
    if call.seen:
        file = call.seen / history.NAME
        past, bad = history.parse(file.read_text("utf-8", errors="replace")) if file.is_file() else ([], 0)
    else:
        past, bad = history.load(history_of(config), call.world.name)
    config.stash[TRENDS] = history.trends(verdict.judgements, past, gate.now)
    if bad:
        line = f"{bad} lines of {history_of(config)} cannot be read, and are passed over"
        config.hook.pytest_preflight_progress(config=config, line=line)
    if call.seen or gate.seen is None:
        return
    write(call.reports / "seen" / history.NAME, history.tail(past))
    if call.profile:
        run = history.this_run(verdict, call.profile, gate.now, gate.override_people)
        history.append(history_of(config), call.world.name, run, call.world.limits.history)


def _summary(config: pytest.Config, gate: Gate, verdict: Verdict) -> None:
    trends = trends_of(config)
    values = told(gate, verdict, config.rootpath, trends)
    write(gate.call.reports / summary.NAME, ROOM(summary.text(values, gate.call.world, verdict, trends)))
    if step := os.environ.get("GITHUB_STEP_SUMMARY"):
        path = Path(step)
        room = summary.LIMIT - (path.stat().st_size if path.exists() else 0)
        with path.open("a", encoding="utf-8") as file:
            file.write(ROOM(summary.text(values, gate.call.world, verdict, trends, room)))


def _metrics(gate: Gate, verdict: Verdict) -> None:
    now = datetime.now(UTC)
    took = (now - gate.started).total_seconds()
    world = gate.call.world
    page = metrics.text(verdict, world.name, gate.call.profile, now, took, deploys(gate), last_hour(gate))
    write(gate.call.reports / metrics.NAME, ROOM(page))


def deploys(gate: Gate) -> list[timedelta] | None:
    """How long the deploys of the window took; None where this run did not look at them."""
    found: Any = seen(gate, "durations")
    return list(found.took) if found else None


def last_hour(gate: Gate) -> dict[str, int] | None:
    """How the deploys of the last hour ended; None where this run did not look at history."""
    found: Any = seen(gate, "history")
    if not found:
        return None
    ended = rate(found, timedelta(hours=1))
    return {"success": ended.good, "failure": len(ended.bad)}
