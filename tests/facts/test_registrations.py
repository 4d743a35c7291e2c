"""Who could take which job: labels as GitHub matches them, and the approved told from strangers."""

from __future__ import annotations

import string
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.facts.context import Failover
from fixtures.facts.registrations import Registrations, choices, strangers
from fixtures.facts.seen import NotApplicable
from fixtures.facts.standby import Standby, approval_fault, none_declared, standbys
from tests.worlds import TODAY, registration, registrations, runner, world

LABEL = st.sampled_from(
    ["self-hosted", "Linux", "X64", "prod", "PROD", "straße", "STRASSE", "ﬁx", "FIX", "İ", "a", "A"]
)
LABELS = st.lists(LABEL, max_size=5)


@given(LABELS, LABELS)
@settings(max_examples=300, deadline=None)
def test_a_job_goes_where_all_its_labels_are_worn_case_aside(asked: list[str], worn: list[str]) -> None:
    mine = registration(labels=frozenset(label.casefold() for label in worn))
    naive = all(any(a.casefold() == w.casefold() for w in worn) for a in asked)
    assert mine.matches(asked) == naive
    assert mine.matches([label.swapcase() for label in asked if label.isascii()]) or not naive
    assert bool(Registrations((mine,)).matching(iter(asked))) == naive


@given(st.lists(st.text(string.ascii_letters, min_size=1), max_size=4), st.data())
@settings(max_examples=100, deadline=None)
def test_asking_for_more_never_matches_more(asked: list[str], data: st.DataObject) -> None:
    mine = registration(labels=frozenset(data.draw(st.lists(st.sampled_from([a.casefold() for a in asked] or ["x"])))))
    assert mine.matches([]) is True
    for i in range(len(asked)):
        assert mine.matches(asked[:i]) or not mine.matches(asked[: i + 1])


@pytest.mark.parametrize(
    ("mine", "declared", "same"),
    [
        ("production", "production", True),
        ("Default", "production", False),
        (None, "production", False),
        ("production", None, False),
        (None, None, False),
        ("Production", "production", True),
    ],
)
def test_a_runner_is_its_name_in_its_group(mine: str | None, declared: str | None, same: bool) -> None:
    assert registration("PROD-1", group=mine).is_(runner(group=declared)) is same
    assert not registration("prod-11", group=mine).is_(runner(group=declared))


def test_without_a_group_it_is_the_repositorys_own() -> None:
    """A namesake that any group of the organization may offer is a stranger."""
    own = registration(group=None, scope="repository")
    assert own.is_(runner(group=None))
    assert not own.is_(runner(group="production"))
    namesake = registration(number=9)
    assert strangers((own, namesake), [runner(group=None)]) == (namesake,)


def test_who_is_not_approved_is_a_stranger() -> None:
    taken = (registration(), registration("prod-1", 9, group="Default"), registration("other", 3))
    assert [t.id for t in strangers(taken, [runner()])] == [9, 3]
    assert strangers(taken, []) == taken
    assert strangers((), [runner()]) == ()


def test_a_choice_names_who_could_take_it() -> None:
    rogue = registration("rogue", 66, labels=registration().labels)
    found = choices([runner(), runner("prod-2", "secondary")], registrations(rogue))
    assert [(c.runner, [t.name for t in c.takers], [s.name for s in c.strangers]) for c in found] == [
        ("prod-1", ["prod-1", "rogue"], ["rogue"]),
        ("prod-2", ["prod-2"], []),
    ]
    assert repr(found[0]) == "[self-hosted, prod-1] can be taken by prod-1, rogue"
    other = Registrations((registration("other", 3),))
    assert repr(choices([runner()], other)[0]) == "[self-hosted, prod-1] can be taken by nobody"
    assert choices([runner()], Registrations(())) == (), "where nobody is registered, nothing is bound"


def test_they_are_told_in_sentences() -> None:
    assert repr(Registrations(())) == "no runner is registered"
    told = repr(registrations())
    assert told.startswith("2 runners are registered: prod-1 (organization of group production, idle, labels ")
    assert "offline" in repr(registration(online=False))
    assert "busy" in repr(registration(busy=True))


BOTH = (runner(), runner("prod-2", "secondary"))


@pytest.mark.parametrize(
    ("change", "told", "ready"),
    [({}, "idle", True), ({"busy": True}, "busy", False), ({"online": False}, "offline", False)],
)
def test_a_standby_is_ready_when_it_is_online_and_idle(change: dict[str, bool], told: str, ready: bool) -> None:
    (found,) = standbys(BOTH, Registrations((registration("Prod-2", 2, **change),)), world(), TODAY)
    assert repr(found) == f"prod-2 is {told}"
    assert found.ready is ready


def test_a_standby_that_is_not_registered_is_offline() -> None:
    assert standbys(BOTH, Registrations(()), world(), TODAY) == (Standby(BOTH[1], False, False),)


def test_a_standby_of_two_registrations_is_as_good_as_the_worse() -> None:
    twice = Registrations((registration("prod-2", 2), registration("prod-2", 3, online=False)))
    assert not standbys(BOTH, twice, world(), TODAY)[0].ready


def test_without_an_approved_secondary_there_is_no_standby() -> None:
    assert standbys(BOTH[:1], registrations(), world(), TODAY) == ()


def test_failover_declared_away_holds_until_its_day() -> None:
    away = world(failover=Failover(mode="none", reason="the second host is ordered", ticket="OPS-1", until=TODAY))
    with pytest.raises(NotApplicable, match=r"until 2026-11-24: the second host is ordered \(OPS-1\)"):
        none_declared(away, TODAY)
    none_declared(away, date(2026, 11, 25))
    none_declared(world(failover=Failover(mode="none")), TODAY)
    none_declared(world(), TODAY)


def test_an_approval_ends() -> None:
    assert approval_fault(runner(), TODAY) == ""
    assert approval_fault(runner(), date(2027, 2, 22)) == ""
    assert approval_fault(runner(), date(2027, 2, 23)) == "the approval of prod-1 ended on 2027-02-22"
    assert approval_fault(runner(approved=None), TODAY) == "prod-1 has no approval"
