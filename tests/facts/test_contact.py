"""Whether a host answered, and how far its clock is from GitHub's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.facts.contact import Clock, clock, contact
from fixtures.facts.seen import HostSeen, Unseen
from tests.worlds import output, runner

LIMIT = timedelta(seconds=30)
UP = HostSeen("prod-2", "answered")


def down(reach: Any) -> HostSeen:
    return HostSeen("prod-1", reach, "prod-1 did something", "ssh -v prod-1")


def test_who_answered_answered() -> None:
    found = contact(runner(), {"prod-1": HostSeen("prod-1", "answered")})
    assert found.answered
    assert repr(found) == "prod-1 answered"


@pytest.mark.parametrize("reach", ["refused", "no-answer", "no-route", "host-key", "garbage"])
def test_who_alone_does_not_answer_is_broken(reach: str) -> None:
    found = contact(runner(), {"prod-1": down(reach), "prod-2": UP})
    assert not found.answered
    assert repr(found) == "prod-1 did something"


@pytest.mark.parametrize("reach", ["refused", "no-answer", "no-route", "host-key", "garbage"])
def test_where_nobody_answers_it_may_be_us(reach: str) -> None:
    for hosts in ({"prod-1": down(reach)}, {"prod-1": down(reach), "prod-2": replace(down(reach), runner="prod-2")}):
        with pytest.raises(Unseen, match="no host answered, so it may be our own network") as why:
            contact(runner(), hosts)
        assert why.value.try_ == "ssh -v prod-1"


@pytest.mark.parametrize("reach", ["auth", "config", "unresolved"])
def test_our_own_means_are_not_the_hosts_fault(reach: str) -> None:
    with pytest.raises(Unseen, match=r"prod-1: prod-1 did something$"):
        contact(runner(), {"prod-1": down(reach), "prod-2": UP})


def test_who_was_not_asked_is_unknown() -> None:
    with pytest.raises(Unseen, match="its host was not asked"):
        contact(runner(), {"prod-2": UP})
    with pytest.raises(Unseen):
        contact(runner(), {})


def host(hello: str, sent: float = 100.0, received: float = 100.2) -> HostSeen:
    return HostSeen("prod-1", "answered", sent=sent, received=received, sections={"hello": output(hello)})


@pytest.mark.parametrize(
    ("hello", "offset", "told"),
    [
        ("100.1\n", 0.0, "is 0 s ahead of"),
        ("100\n", 0.0, "is 0 s ahead of"),
        ("160.1\n", 58.9, "is 59 s ahead of"),
        ("40.1\n", -58.9, "is 59 s behind"),
    ],
)
def test_the_clock_of_a_host(hello: str, offset: float, told: str) -> None:
    """GitHub says whole seconds, so that a second stands on either side."""
    found = clock(host(hello), (-1.0, 1.0), ("chronyd",))
    assert found.offset(LIMIT) == pytest.approx(offset, abs=0.01)
    assert told in repr(found)
    assert "kept by chronyd" in repr(found)


@given(st.floats(-1000, 1000), st.floats(0, 20), st.floats(0, 1), st.floats(-100, 100))
@settings(max_examples=300, deadline=None)
def test_the_offset_is_never_more_than_the_true_one(true: float, took: float, when: float, ours: float) -> None:
    """Whatever the line's delay and our own clock's fault: the truth lies within the bounds."""
    sent = 5000.0 + ours
    printed = 5000.0 + took * when + true
    found = clock(replace(host(f"{printed:.9f}"), sent=sent, received=sent + took), (-ours - 0.5, -ours + 0.5), ())
    assert found.least - 0.001 <= true <= found.most + 0.001
    assert abs(found.offset(LIMIT)) <= abs(true) + 0.001


def test_a_slow_line_proves_no_clock() -> None:
    with pytest.raises(Unseen, match="the answers took so long that it is known only to 32 s"):
        clock(host("100.0", received=130.0), (-1.0, 1.0), ()).offset(LIMIT)


@pytest.mark.parametrize("hello", ["", "soon", "-5", "1e5", "100.1 more", "9" * 13, "٣", "100,1", "100."])
def test_a_date_that_is_none_is_unseen(hello: str) -> None:
    with pytest.raises(Unseen, match="the clock of prod-1: date said"):
        clock(host(hello), (0.0, 1.0), ())


def test_a_clock_that_nobody_keeps_is_told() -> None:
    assert "kept by no time daemon" in repr(Clock("prod-1", -1, 1, ()))
