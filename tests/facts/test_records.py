"""Pages, sessions, explanations and tickets as values."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from fixtures.facts.context import Records, Waiver
from fixtures.facts.records import (
    Explained,
    FrontMatter,
    Noted,
    Order,
    Orders,
    Page,
    Pages,
    Session,
    Sessions,
    foreign,
    tickets,
)
from fixtures.facts.seen import NotApplicable
from tests.worlds import TODAY, world

MONTH = timedelta(days=30)
HEAD = FrontMatter("A page", TODAY, "platform", ("runners",), (), ("INFRA-472",))


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def pages(head: FrontMatter = HEAD, **changes: object) -> Pages:
    made = Pages("contexts", TODAY, (Page("a.md", (head,), (), ()),), ())
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_page_that_is_valid_and_new() -> None:
    assert pages().invalid() == [] and pages().outdated(MONTH) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"jira_tickets": ()}, "jira_tickets is empty"),
        ({"jira_tickets": ("INFRA-472", "later")}, "'later', which is no ticket"),
        ({"last_updated": days_ago(-1)}, "which is to come"),
    ],
)
def test_a_head_that_is_well_formed_may_still_be_wrong(changes: dict[str, object], says: str) -> None:
    (found,) = pages(replace(HEAD, **changes)).invalid()  # type: ignore[arg-type]
    assert says in found


def test_faults_of_the_reader_are_passed_on() -> None:
    assert pages(found=(Page("a.md", (), ("a.md:2: title: is missing",), ()),)).invalid() == [
        "a.md:2: title: is missing"
    ]


def test_a_page_ages_on_the_day_after_its_limit() -> None:
    assert pages(replace(HEAD, last_updated=days_ago(30))).outdated(MONTH) == []
    (found,) = pages(replace(HEAD, last_updated=days_ago(31))).outdated(MONTH)
    assert "31 days ago" in found


def test_a_page_is_not_older_than_the_world_it_describes() -> None:
    head = replace(HEAD, last_updated=days_ago(5), describes=("production.yml",))
    assert pages(head, worlds=(("production.yml", days_ago(5)),)).outdated(MONTH) == []
    (found,) = pages(head, worlds=(("production.yml", days_ago(4)),)).outdated(MONTH)
    assert "production.yml changed on" in found
    (found,) = pages(head, absent=("production.yml",)).outdated(MONTH)
    assert "which is not there" in found


def test_of_no_pages_nothing_is_true() -> None:
    for ask in (pages(found=()).invalid, lambda: pages(found=()).outdated(MONTH)):
        with pytest.raises(NotApplicable):
            ask()


SESSION = Session("platform", "INFRA-472", "open", "A goal.", days_ago(9), days_ago(1))


def sessions(session: Session = SESSION, folder: str = "platform") -> Sessions:
    return Sessions("contexts", TODAY, (Noted("sessions/x", folder, (session,), ()),))


def test_sessions() -> None:
    week = timedelta(days=7)
    assert sessions().amiss(week) == []
    assert sessions(replace(SESSION, updated=days_ago(8))).amiss(week) == [
        "sessions/x is open, and was last updated 8 days ago"
    ]
    assert "is blocked" in sessions(replace(SESSION, state="blocked", updated=days_ago(8))).amiss(week)[0]
    assert sessions(replace(SESSION, state="closed", updated=days_ago(9))).amiss(week) == [], "closed work does not age"
    assert "in the folder of 'data'" in sessions(folder="data").amiss(week)[0]
    assert "days that cannot be" in sessions(replace(SESSION, started=TODAY)).amiss(week)[0]
    assert "days that cannot be" in sessions(replace(SESSION, updated=days_ago(-1))).amiss(week)[0]
    with pytest.raises(NotApplicable):
        Sessions("contexts", TODAY, ()).amiss(week)


def test_checks_and_headings_are_each_others() -> None:
    some = Explained(frozenset({"a/b", "a/c"}), frozenset({"a/c", "a/d"}))
    assert some.silent == ["a/b"] and some.strays == ["a/d"]


@pytest.mark.parametrize(
    ("told", "projects", "named"),
    [
        ("INFRA-472: widgets", (), True),
        ("fix\nmain\nfixes INFRA-1.", ("INFRA",), True),
        ("feature/INFRA-9-gears", ("INFRA",), True),
        ("fix the fix", (), False),
        ("OTHER-7", ("INFRA",), False),
        ("XINFRA-7", ("INFRA",), False),
        ("INFRA-7b", ("INFRA",), False),
        ("utf-8", (), False),
        ("", (), False),
    ],
)
def test_a_run_names_a_ticket_or_does_not(told: str, projects: tuple[str, ...], named: bool) -> None:
    assert (Orders((Order(7, told),)).unnamed(projects) == []) == named


def test_no_runs_name_no_tickets() -> None:
    with pytest.raises(NotApplicable):
        Orders(()).unnamed(())


def test_tickets_of_the_context_are_of_the_declared_projects() -> None:
    waiver = Waiver("a/b", "known", "owner", "OTHER-1", TODAY)
    made = world(waivers=(waiver,), records=Records(projects=("INFRA",)))
    assert foreign(tickets(made), ("INFRA",)) == [
        "the waiver of a/b names OTHER-1, which is of no declared project (INFRA)"
    ]
    assert foreign(tickets(made), ()) == []
    assert foreign(tickets(made), ("INFRA", "OTHER")) == []
