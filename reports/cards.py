"""A card: what a person reads about a check that does not hold. Plain text parts; each reporter dresses them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fixtures.facts.context import CONTROLS, Context
from fixtures.verdict import Judgement, Verdict

MARKS = {"held": "√", "broken": "×", "unknown": "?", "crashed": "!", "waived": "~", "not applicable": "-"}
WORST = ("crashed", "broken", "unknown", "waived", "not applicable", "held")
MOST_SAID = 3
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """Text that can harm no terminal: control characters, and those that turn the writing direction, are spelled out."""
    return CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", text)


def one_line(text: str) -> str:
    """The same where a line's end would mean something."""
    return plain(" ".join(text.split()))


# What usually breaks with another check on the same runner, and is mended with it: the effect, and its causes, the deepest
# first, so that what has a cause itself is taken for one only where that holds.
COMES_WITH = {
    "runner-health/listener-alive": ("runner-health/service-running",),
    "runner-health/polling": (
        "runner-health/service-running",
        "runner-health/listener-alive",
        "runner-health/reaches-github",
    ),
    "runner-health/tells-the-truth": ("runner-health/service-running", "runner-health/listener-alive"),
    "runner-health/online": (
        "runner-health/service-running",
        "runner-health/listener-alive",
        "runner-health/reaches-github",
        "runner-health/polling",
    ),
}


@dataclass(frozen=True)
class Card:
    """One cause. `folded` names what an unreachable host made unknown, `alike` what is unknown for the same reason and
    mended by the same act, `effects` what is broken on the same runner and usually comes with it.
    """

    judgement: Judgement
    folded: tuple[Judgement, ...] = ()
    alike: tuple[Judgement, ...] = ()
    effects: tuple[Judgement, ...] = ()

    @property
    def mark(self) -> str:
        return MARKS[self.judgement.outcome]

    @property
    def weight(self) -> str:
        return self.judgement.check.severity

    @property
    def title(self) -> str:
        return f"{1 + len(self.alike)} checks" if self.alike else self.judgement.name

    @property
    def saw(self) -> str:
        """What was seen; of checks that are alike, each sentence once."""
        said = list(dict.fromkeys(j.saw for j in (self.judgement, *self.alike)))
        more = [f"and {len(said) - MOST_SAID} more like these"] if len(said) > MOST_SAID else []
        return "\n".join([*said[:MOST_SAID], *more])

    @property
    def all(self) -> tuple[Judgement, ...]:
        return (self.judgement, *self.alike, *self.effects)

    @property
    def page(self) -> str:
        """Where the check is explained."""
        check = self.judgement.check
        return f"contexts/{check.guarantee}.md#{check.id.split('/')[1]}"


def names(judgements: Iterable[Judgement]) -> str:
    """Checks by their ids; a check of several runners once, with its runners."""
    by_check: dict[str, list[str]] = {}
    for j in judgements:
        by_check.setdefault(j.check.id, []).extend([j.runner] if j.runner else [])
    return ", ".join(check + (f" ({', '.join(runners)})" if runners else "") for check, runners in by_check.items())


def some(words: Sequence[str], most: int = 6) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def cards(verdict: Verdict) -> list[Card]:
    """One card for each cause, what blocks first. What holds or does not apply has none; a waived check has one, and so has
    a drill that held: its story is what it was run for."""
    left = [
        j
        for j in verdict.judgements
        if not j.cause and (j.outcome not in ("held", "not applicable") or (j.check.when == "drill" and j.saw))
    ]
    left.sort(key=lambda j: (j.check.severity != "blocks", WORST.index(j.outcome)))
    broken = {j.key: j for j in left if j.outcome == "broken"}
    effects: dict[tuple[str, str], list[Judgement]] = {}
    heads: dict[str, list[Judgement]] = {}
    for j in left:
        cause = _cause(j, broken)
        if cause:
            effects.setdefault(cause.key, []).append(j)
        else:
            # What is unknown and mended by the same act has one cause; everything else stands for itself.
            heads.setdefault(j.try_ if j.outcome == "unknown" and j.try_ else j.name, []).append(j)
    return [
        Card(
            head,
            tuple(j for j in verdict.judgements if j.cause == head.name),
            tuple(alike),
            tuple(effects.get(head.key, ())),
        )
        for head, *alike in heads.values()
    ]


def _cause(judgement: Judgement, broken: Mapping[tuple[str, str], Judgement]) -> Judgement | None:
    """The check on the same runner whose break explains this one."""
    if judgement.outcome != "broken":
        return None
    causes = (broken.get((check, judgement.runner)) for check in COMES_WITH.get(judgement.check.id, ()))
    return next(filter(None, causes), None)


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
