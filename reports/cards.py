"""A card: what a person reads about a check that does not hold. Plain text parts; each reporter dresses them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fixtures.facts.context import CONTROLS, Context
from fixtures.verdict import Judgement, Verdict

MARKS = {"held": "√", "broken": "×", "unknown": "?", "crashed": "!", "waived": "~", "not applicable": "-"}
WORST = ("crashed", "broken", "unknown", "waived", "not applicable", "held")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """Text that can harm no terminal: control characters, and those that turn the writing direction, are spelled out."""
    return CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", text)


@dataclass(frozen=True)
class Card:
    """`folded` names what this cause also made unknown."""

    judgement: Judgement
    folded: tuple[Judgement, ...] = ()

    @property
    def mark(self) -> str:
        return MARKS[self.judgement.outcome]

    @property
    def weight(self) -> str:
        return self.judgement.check.severity

    @property
    def page(self) -> str:
        """Where the check is explained."""
        check = self.judgement.check
        return f"contexts/{check.guarantee}.md#{check.id.split('/')[1]}"


def cards(verdict: Verdict) -> list[Card]:
    """One card for each cause, what blocks first. What holds or does not apply has none; a waived check has one."""
    found = []
    for judgement in verdict.judgements:
        if judgement.outcome in ("held", "not applicable") or judgement.cause:
            continue
        folded = tuple(j for j in verdict.judgements if j.cause == judgement.name)
        found.append(Card(judgement, folded))
    return sorted(found, key=lambda c: (c.weight != "blocks", WORST.index(c.judgement.outcome)))


@dataclass(frozen=True)
class Line:
    """One guarantee in one line: its worst outcome and its counts."""

    guarantee: str
    promise: str
    worst: str
    held: int
    of: int

    @property
    def mark(self) -> str:
        return MARKS[self.worst]


def lines(judgements: Iterable[Judgement]) -> list[Line]:
    by_guarantee: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_guarantee.setdefault(judgement.check.guarantee, []).append(judgement)
    return [
        Line(
            slug,
            some[0].check.promise,
            min((j.outcome for j in some), key=WORST.index) if any(not j.holds for j in some) else "held",
            sum(j.holds for j in some),
            len(some),
        )
        for slug, some in by_guarantee.items()
    ]


def notes(judgements: Iterable[Judgement], world: Context) -> list[str]:
    """What a green line would hide: what was not judged, and what the context leaves out. One sentence each."""
    moot: dict[str, list[str]] = {}
    for judgement in judgements:
        if judgement.outcome == "not applicable":
            moot.setdefault(judgement.saw, []).append(judgement.name)
    found = [f"{', '.join(names)}: not applicable, {reason}" for reason, names in moot.items()]
    if left_out := [control for control in CONTROLS if control not in world.environment.requires]:
        found.append(f"not required of environment {world.environment.name}: {', '.join(left_out)}")
    return found
