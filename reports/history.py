"""What earlier runs said: one small JSON line a run, kept for a while, and what it makes of the run at hand.

`reports/history/<context>.jsonl` holds the runs of a profile (no replays, no part runs), oldest first. A line that cannot
be read is passed over and counted: history explains a verdict, and never makes one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fixtures import lines
from fixtures.verdict import Judgement, Verdict

FORMAT = 1
NAME = "history.jsonl"
MOST = 2000
"""Lines kept at the most, whatever their age: a loop of quick gates must not fill a disk."""
OVERRIDES = timedelta(days=30)
"""For how long every run says that there was an override."""
LOOKED_BACK = 8
FLAPS = 3
LETTERS = {"held": "h", "not applicable": "n", "waived": "w", "broken": "b", "unknown": "u", "crashed": "c"}
HOLDS = frozenset("hnw")
WORD_OF = {letter: word for word, letter in LETTERS.items()}


@dataclass(frozen=True)
class Past:
    """One earlier run. `outcomes`: the letter of each judgement, by its name. `by`: who overrode it, "" for the others."""

    time: datetime
    profile: str
    verdict: str
    runner: str
    line: str
    outcomes: Mapping[str, str]
    by: str = ""

    def as_json(self) -> dict[str, Any]:
        by_letter: dict[str, list[str]] = {}
        for name, letter in self.outcomes.items():
            by_letter.setdefault(letter, []).append(name)
        return {
            "format": FORMAT,
            "time": self.time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "profile": self.profile,
            "verdict": self.verdict,
            "runner": self.runner,
            "line": self.line,
            "outcomes": by_letter,
            **({"by": self.by} if self.by else {}),
        }

    @property
    def told(self) -> str:
        """An override, for a person: when, who, and its line, which has the reason, the ticket and what it went against."""
        who = f", {self.by}" if self.by else ""
        return f"{self.time.astimezone(UTC):%Y-%m-%d %H:%M}Z, profile {self.profile}{who}: {self.line}"


@dataclass(frozen=True)
class Trends:
    """`of`: by the name of what does not hold now, "new", "since …" or "flapping: …"; nothing where it was never judged
    before. `mended`: what did not hold when it was last judged, and holds now.
    """

    of: Mapping[str, str]
    mended: tuple[str, ...]
    past: tuple[Past, ...] = ()
    overrides: tuple[Past, ...] = ()

    def word(self, judgements: Sequence[Judgement]) -> str:
        """What is to be said of all of them; "" where they have not the same to say."""
        words = {self.of.get(j.name, "") for j in judgements}
        return words.pop() if len(words) == 1 else ""

    def nights(self, most: int) -> tuple[Past, ...]:
        """The newest nightly runs, oldest first, one a day: the last of each."""
        by_day = {p.time.astimezone(UTC).date(): p for p in self.past if p.profile == "nightly"}
        return tuple(by_day[day] for day in sorted(by_day)[-most:])


NOTHING = Trends({}, ())


def overridden(past: Sequence[Past], now: datetime) -> tuple[Past, ...]:
    """The overrides that are still told of, the newest first."""
    found = [run for run in past if run.verdict == "overridden" and now - OVERRIDES <= run.time <= now]
    return tuple(reversed(found))


def this_run(verdict: Verdict, profile: str, now: datetime, by: str = "") -> Past:
    return Past(
        now,
        profile,
        verdict.word,
        verdict.runner,
        verdict.line,
        {j.name: LETTERS[j.outcome] for j in verdict.judgements},
        by if verdict.word == "overridden" else "",
    )


def trends(judgements: Sequence[Judgement], past: Sequence[Past], now: datetime | None = None) -> Trends:
    """What is new, for how long it has been so, what goes to and fro, and what was mended; up to `now`, the overrides.

    `past` is oldest first.
    """
    of, mended = {}, []
    for j in judgements:
        before = [(p, p.outcomes[j.name]) for p in past if j.name in p.outcomes]
        if not before:
            continue
        if j.holds:
            if before[-1][1] not in HOLDS:
                mended.append(j.name)
            continue
        of[j.name] = _word(before)
    return Trends(of, tuple(mended), tuple(past), overridden(past, now) if now else ())


def _word(before: Sequence[tuple[Past, str]]) -> str:
    """For what does not hold now, from the runs that judged it before."""
    held = [letter in HOLDS for _, letter in before[-LOOKED_BACK:]] + [False]
    changes = sum(a != b for a, b in pairwise(held))
    if changes >= FLAPS:
        return f"flapping: {changes} changes in {len(held)} runs"
    if held[-2]:
        return "new"
    streak: list[Past] = []
    for run, letter in reversed(before):
        if letter in HOLDS:
            break
        streak.append(run)
    nights = len({run.time.astimezone(UTC).date() for run in streak})
    since = min(run.time for run in streak).astimezone(UTC)
    return f"since {since:%Y-%m-%d %H:%M}Z" + (f", {nights} nights" if nights > 1 else "")


def parse(text: str) -> tuple[list[Past], int]:
    """The runs of a history file, oldest first, and how many lines could not be read."""
    found, bad = [], 0
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            found.append(_past(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            bad += 1
    return sorted(found, key=lambda p: p.time), bad


def _past(raw: Any) -> Past:
    if raw["format"] != FORMAT:
        raise ValueError(raw["format"])
    time = datetime.fromisoformat(raw["time"])
    if time.tzinfo is None:
        raise ValueError("a time without its zone")
    outcomes = {
        str(name): str(letter) for letter, names in raw["outcomes"].items() if letter in WORD_OF for name in names
    }
    profile, verdict, runner, line = (str(raw[key]) for key in ("profile", "verdict", "runner", "line"))
    return Past(time, profile, verdict, runner, line, outcomes, str(raw.get("by", "")))


def place(directory: Path, context: str) -> Path:
    return directory / f"{quote(context, safe='')}.jsonl"


def load(directory: Path, context: str) -> tuple[list[Past], int]:
    try:
        return parse(place(directory, context).read_text("utf-8", errors="replace"))
    except FileNotFoundError:
        return [], 0


def tail(past: Sequence[Past], most: int = 400) -> str:
    """The newest of them as the lines of a history file: what a recording takes along."""
    return "".join(f"{_line(run)}\n" for run in past[-most:])


def _line(run: Past) -> str:
    return json.dumps(run.as_json(), separators=(",", ":"))


def append(directory: Path, context: str, run: Past, keep: timedelta) -> None:
    """One line more; what is older than `keep` goes, an override not before it has been told of long enough.

    Two runs at once lose nothing: they take turns.
    """

    def kept(old: list[str]) -> list[str]:
        young = [line for line in old if _younger(line, run.time - keep) or _told(line, run.time)]
        return [line for line in young[: -(MOST - 1)] if _told(line, run.time)] + young[-(MOST - 1) :]

    lines.append(place(directory, context), _line(run), kept)


def _younger(line: str, than: datetime) -> bool:
    """What cannot be read has no age, and is not kept."""
    found, _ = parse(line)
    return bool(found) and found[0].time >= than


def _told(line: str, now: datetime) -> bool:
    return bool(overridden(parse(line)[0], now))
