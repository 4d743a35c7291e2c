"""`summary.md`: the verdict, the matrix and the cards in Markdown, as a GitHub Actions job summary shows them.

What a host or GitHub said stands in code spans or code blocks whose fence is longer than any run of backticks in it: it
can make no link, no image, no mention and no HTML there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fixtures.verdict import Verdict
from reports.cards import Card, cards, names, notes, one_line, plain, some
from reports.history import Trends

NAME = "summary.md"
LIMIT = 1024 * 1024
"""Bytes that GitHub takes for the summary of one step."""
ROOM = 2048
"""Kept free for the sentence that says what was cut."""


def text(told: Mapping[str, Any], world: Any, verdict: Verdict, trends: Trends, room: int = LIMIT) -> str:
    """`told` is what the page's head says (reports/told.py); `room` in bytes of UTF-8. Cards that find none are counted."""
    head = _head(told, verdict, trends)
    foot = _foot(told, verdict, world)
    size = len((head + foot).encode()) + ROOM
    parts, left_out = [], 0
    for card in cards(verdict):
        part = _card(card, trends)
        size += len(part.encode())
        if left_out or size > room:
            left_out += 1
        else:
            parts.append(part)
    if left_out:
        parts.append(f"{left_out} more cards do not fit here; they stand in `report.html`.\n\n")
    whole = head + "".join(parts) + foot
    return whole if len(whole.encode()) <= room else whole.encode()[: max(0, room)].decode(errors="ignore")


def code(value: str) -> str:
    """A code span, of one line, in which nothing acts. In a table too: a bar would end the cell."""
    line = one_line(value) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}".replace("|", "\\|")


def block(value: str) -> str:
    rows = plain(value).splitlines() or [""]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", value)), default=0))
    return "\n".join([f"{fence}text", *rows, fence, ""])


def _head(told: Mapping[str, Any], verdict: Verdict, trends: Trends) -> str:
    rows = [f"## {code(verdict.line)}", ""]
    if told["recording"]:
        rows += [f"**{told['recording']}**", ""]
    if told["expires"]:
        rows += [f"Good until {told['expires'].replace('+00:00', 'Z')}.", ""]
    if told["matrix"]:
        runners = [code(name) + (" (chosen)" if name == verdict.runner else "") for name, _, _ in told["runners"]]
        rows += [
            f"| guarantee | {' | '.join(runners)} | production |",
            f"|---|{'---|' * (len(runners) + 1)}",
            *(
                f"| {slug} | {' | '.join(f'{c.mark} {c.text}'.strip() or '·' for c in cells)} |"
                for slug, _, cells in told["matrix"]
            ),
            "",
        ]
    rows += [f"- Overridden in the last 30 days: {code(run.told)}" for run in trends.overrides]
    rows += [""] if trends.overrides else []
    if trends.mended:
        rows += [f"Mended since the run before: {code(some(trends.mended))}.", ""]
    return "\n".join(rows) + "\n"


def _card(card: Card, trends: Trends) -> str:
    j = card.judgement
    trend = trends.word((j, *card.alike))
    rows = [
        f"### {card.mark} {code(card.title)}, {j.outcome}, {card.weight}{f', {trend}' if trend else ''}",
        "",
        code(names(card.all)) if card.alike else j.check.claim,
        "",
        block(card.saw),
    ]
    for effect in card.effects:
        rows += [f"With it {code(effect.name)}: {code(effect.saw)}", ""]
    if j.waiver:
        rows += [
            f"Waived until {j.waiver.until}: {code(j.waiver.reason)} ({code(j.waiver.by)}, {code(j.waiver.ticket)}).",
            "",
        ]
    if card.folded:
        slugs = ", ".join(f.check.id.split("/")[1] for f in card.folded)
        rows += [f"So {len(card.folded)} more checks of {code(j.runner)} could not be judged: {slugs}.", ""]
    if j.try_:
        rows += ["Try:", "", block(one_line(j.try_))]
    rows += [f"Why: `{card.page}`", ""]
    return "\n".join(rows) + "\n"


def _foot(told: Mapping[str, Any], verdict: Verdict, world: Any) -> str:
    left_out: Sequence[str] = notes(verdict.judgements, world)
    rows = ["<details><summary>What was not judged, and what was looked at</summary>", ""]
    rows += [f"- {code(note)}" for note in left_out]
    rows += [f"- {name}: {code(value)}" for name, value in told["facts"]]
    return "\n".join([*rows, "", "</details>", ""])
