"""One cause, one card: what a person has to read of many judgements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fixtures.verdict import Judgement, Verdict
from reports.cards import COMES_WITH, cards, names
from reports.history import Trends
from tests.fixtures.runs import P1, P2, check
from tests.test_house import CHECKS

SERVICE, LISTENER, ONLINE = (
    check(f"runner-health/{slug}", per="runner") for slug in ("service-running", "listener-alive", "online")
)
CUT, LOCK = check("serialization/never-cut"), check("serialization/one-lock")
SLOW = check("pace/p95", severity="warns")


def verdict(*judgements: Judgement) -> Verdict:
    return Verdict("hold", "× do not deploy", 1, judgements=judgements)


def broken(of: Any, runner: str = "", saw: str = "no") -> Judgement:
    return Judgement(of, runner, "broken", saw, f"mend {of.id}")


def unknown(
    of: Any, runner: str = "", try_: str = "give the token a permission", saw: str = "could not see it"
) -> Judgement:
    return Judgement(of, runner, "unknown", saw, try_)


def test_a_dead_service_is_one_card_for_each_runner() -> None:
    found = cards(verdict(*(broken(c, r) for r in (P1, P2) for c in (ONLINE, LISTENER, SERVICE))))
    assert [card.judgement.name for card in found] == [SERVICE.id + f"[{r}]" for r in (P1, P2)]
    assert [[e.check for e in card.effects] for card in found] == [[ONLINE, LISTENER], [ONLINE, LISTENER]]


def test_an_effect_without_its_cause_has_its_own_card() -> None:
    found = cards(verdict(broken(ONLINE, P1), broken(SERVICE, P2)))
    assert [card.title for card in found] == ["runner-health/online[prod-1]", "runner-health/service-running[prod-2]"]
    assert not any(card.effects for card in found)


def test_an_effect_that_is_unknown_is_not_explained_away() -> None:
    found = cards(verdict(unknown(ONLINE, P1), broken(SERVICE, P1)))
    assert {card.judgement.outcome for card in found} == {"unknown", "broken"}


def test_what_the_same_act_mends_is_one_card() -> None:
    found = cards(
        verdict(unknown(CUT, saw="a"), unknown(SLOW, saw="b"), unknown(LOCK, saw="a"), unknown(ONLINE, P1, "look"))
    )
    assert [card.title for card in found] == ["3 checks", "runner-health/online[prod-1]"]
    assert found[0].weight == "blocks"
    assert found[0].saw == "a\nb"
    assert names(found[0].all) == "serialization/never-cut, serialization/one-lock, pace/p95"


def test_many_sentences_are_counted() -> None:
    card = cards(verdict(*(unknown(CUT, f"r{n}", saw=f"sentence {n}") for n in range(9))))[0]
    assert card.saw.splitlines() == ["sentence 0", "sentence 1", "sentence 2", "and 6 more like these"]


def test_broken_checks_are_never_alike() -> None:
    same = [replace(broken(c), try_="the same") for c in (CUT, LOCK)]
    assert len(cards(verdict(*same))) == 2


def test_nothing_is_lost_on_the_way_to_the_cards() -> None:
    judged = [broken(c, r) for r in (P1, P2) for c in (ONLINE, LISTENER, SERVICE)] + [
        unknown(CUT),
        unknown(LOCK),
        broken(SLOW),
    ]
    assert {j.name for card in cards(verdict(*judged)) for j in card.all} == {j.name for j in judged}


def test_what_comes_with_what_names_checks_there_are() -> None:
    found = {*COMES_WITH, *(cause for causes in COMES_WITH.values() for cause in causes)}
    assert found <= set(CHECKS)


def test_causes_stand_before_what_they_cause() -> None:
    """So that an effect, and the effect of it, stand on one card."""
    for causes in COMES_WITH.values():
        for place, cause in enumerate(causes):
            assert set(COMES_WITH.get(cause, ())) <= set(causes[:place]), cause


def test_a_card_of_many_says_since_when_if_all_do() -> None:
    some = [unknown(CUT), unknown(LOCK)]
    assert Trends({j.name: "new" for j in some}, ()).word(some) == "new"
    assert Trends({some[0].name: "new"}, ()).word(some) == ""
