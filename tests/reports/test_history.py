"""What earlier runs make of this one: new, since, flapping, mended; and the file that keeps them."""

from __future__ import annotations

import fcntl
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import history
from reports.history import Past, trends
from tests.fixtures.runs import case

NOW = datetime(2026, 11, 24, 3, 17, tzinfo=UTC)
DISK = "runner-health/disk-room[prod-1]"


def past(letters: str, name: str = DISK, profile: str = "nightly") -> list[Past]:
    """A night each, the last one yesterday; `-` for a night that did not judge it."""
    days = len(letters)
    return [
        Past(
            NOW - timedelta(days=days - n), profile, "deploy", "prod-1", "line", {} if letter == "-" else {name: letter}
        )
        for n, letter in enumerate(letters)
    ]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", None),
        ("---", None),
        ("h", "new"),
        ("bbh", "new"),
        ("h-", "new"),
        ("n", "new"),
        ("w", "new"),
        ("b", "since 2026-11-23 03:17Z"),
        ("hbub", "since 2026-11-21 03:17Z, 3 nights"),
        ("bbb", "since 2026-11-21 03:17Z, 3 nights"),
        ("b-b", "since 2026-11-21 03:17Z, 2 nights"),
        ("hbhb", "flapping: 3 changes in 5 runs"),
        ("hbhbbbbbbbbb", "since 2026-11-15 03:17Z, 9 nights"),
    ],
)
def test_what_does_not_hold_says_since_when(before: str, said: str | None) -> None:
    found = trends(case(disk_room="broken").judged().judgements, past(before))
    assert found.of.get(DISK) == said
    assert found.mended == ()


@pytest.mark.parametrize(
    ("before", "mended"), [("", False), ("h", False), ("b", True), ("u", True), ("bh", False), ("b-", True)]
)
def test_what_holds_again_is_said_once(before: str, mended: bool) -> None:
    found = trends(case().judged().judgements, past(before))
    assert found.mended == ((DISK,) if mended else ())
    assert found.of == {}


def test_a_waiver_is_no_trouble_of_tonight() -> None:
    assert trends(case(disk_room="waived").judged().judgements, past("b")).mended == (DISK,)


def test_nights_are_the_last_nightly_run_of_each_day() -> None:
    runs = [*past("hhb"), Past(NOW, "quick", "hold", "", "quick one", {})]
    again = Past(NOW - timedelta(days=1) + timedelta(hours=1), "nightly", "deploy", "", "again", {DISK: "h"})
    nights = trends((), [*runs, again]).nights(2)
    assert [n.line for n in nights] == ["line", "again"]
    assert [n.outcomes.get(DISK) for n in nights] == ["h", "h"]


letters = st.sampled_from("hnwbuc")
names = st.text(min_size=1, max_size=30)
runs = st.builds(
    Past,
    st.integers(0, 10**7).map(lambda seconds: NOW - timedelta(seconds=seconds)),
    st.sampled_from(["quick", "nightly", "rollback"]),
    st.sampled_from(["deploy", "hold"]),
    names,
    st.text(max_size=80),
    st.dictionaries(names, letters, max_size=5),
)


@given(st.lists(runs, max_size=5))
def test_a_run_survives_its_line(some: list[Past]) -> None:
    found, bad = history.parse(history.tail(some))
    assert bad == 0
    assert sorted(found, key=repr) == sorted(some, key=repr)


@given(
    st.lists(
        st.one_of(
            st.text(max_size=60),
            st.sampled_from(['{"format":1}', "[]", "null", '{"format":1,"time":3}']),
            runs.map(lambda r: json.dumps(r.as_json())[:-2]),
        ),
        max_size=5,
    )
)
def test_lines_that_cannot_be_read_are_counted_and_never_raise(lines: list[str]) -> None:
    good = history.tail(past("h"))
    text = "\n".join(line.replace("\n", " ").replace("\r", " ") for line in lines)
    found, bad = history.parse(good + text)
    assert len(found) == 1
    assert bad == len([line for line in text.splitlines() if line.strip()])


def test_old_runs_go_and_odd_lines_with_them(tmp_path: Path) -> None:
    for run in past("hbhb"):
        history.append(tmp_path, "production", run, timedelta(days=2))
    with history.place(tmp_path, "production").open("a", encoding="utf-8") as file:
        file.write("{half a li")
    assert history.load(tmp_path, "production")[1] == 1
    history.append(tmp_path, "production", past("u")[0], timedelta(days=2))
    found, bad = history.load(tmp_path, "production")
    assert bad == 0
    assert all(run.time >= NOW - timedelta(days=3) for run in found)


def override(days: float, line: str = "! overridden (OPS-7: checkout is down): on prod-1") -> Past:
    return Past(NOW - timedelta(days=days), "quick", "overridden", "prod-1", line, {DISK: "b"}, "run 7, started by ada, approved by grace")  # fmt: skip


def test_an_override_is_told_for_thirty_days() -> None:
    runs = [
        override(30.1),
        override(30),
        override(2, "! overridden (OPS-8: again): on prod-2"),
        *past("hh"),
        override(-1),
    ]
    found = trends((), runs, NOW).overrides
    assert [run.line[14:19] for run in found] == ["OPS-8", "OPS-7"]
    assert found[1].told == (
        "2026-10-25 03:17Z, profile quick, run 7, started by ada, approved by grace: "
        "! overridden (OPS-7: checkout is down): on prod-1"
    )
    assert trends((), runs).overrides == ()
    again, bad = history.parse(history.tail(runs))
    assert (again, bad) == (sorted(runs, key=lambda run: run.time), 0)


def test_one_of_before_tells_who_only_where_it_was_kept() -> None:
    old = history.tail([override(3)]).replace(', "by"', ', "gone"').replace(',"by"', ',"gone"')
    (found,) = history.parse(old)[0]
    assert found.by == ""
    assert found.told == "2026-11-21 03:17Z, profile quick: ! overridden (OPS-7: checkout is down): on prod-1"


def test_an_override_outlives_what_else_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a short memory nor a loop of runs takes it away before its time."""
    monkeypatch.setattr(history, "MOST", 5)
    history.append(tmp_path, "production", override(20), timedelta(days=1))
    history.append(tmp_path, "production", override(29, "! overridden (OPS-6: then): on prod-1"), timedelta(days=1))
    for run in past("hhhhhhhhh"):
        history.append(tmp_path, "production", run, timedelta(days=1))
    found, _ = history.load(tmp_path, "production")
    assert sum(run.verdict == "overridden" for run in found) == 2
    history.append(tmp_path, "production", replace(past("h")[0], time=NOW + timedelta(days=12)), timedelta(days=1))
    assert not any(run.verdict == "overridden" for run in history.load(tmp_path, "production")[0])


def test_a_context_has_a_history_of_its_own(tmp_path: Path) -> None:
    history.append(tmp_path, "production", past("h")[0], timedelta(days=90))
    assert history.load(tmp_path, "staging") == ([], 0)
    assert len(history.load(tmp_path, "production")[0]) == 1


def test_runs_at_once_take_turns(tmp_path: Path) -> None:
    """Who comes while another writes waits for it, so that neither loses its line."""
    with (tmp_path / ".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = threading.Thread(
            target=history.append, args=(tmp_path, "production", past("h")[0], timedelta(days=90)), daemon=True
        )
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert history.load(tmp_path, "production") == ([], 0)
    second.join(30)
    assert len(history.load(tmp_path, "production")[0]) == 1
