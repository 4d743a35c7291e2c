"""The page's drawings, as numbers: how long deploys took, how long they waited, who ran what, and the last nights.

Coordinates are pixels of a fixed view box, so that a drawing scales with its page; reports/charts.jinja2 draws them. What a
drawing shows stands in a table beside it too, for those who do not see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fixtures.facts.history import History, Work, nearest_rank, overlaps, waits
from fixtures.facts.limits import Limits
from fixtures.facts.record import spoken
from reports.cards import MARKS
from reports.history import WORD_OF, Past, Trends

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 430, 190, 56, 12, 14, 24
ROW = 26
NIGHTS = 30
LATEST = 30
NARROWEST = 3.0
WORSE = "hnwubc"


@dataclass(frozen=True)
class Mark:
    """A dot of a plot or a bar of the timeline; `style` names its look, `title` is what a pointer on it reads."""

    x: float
    y: float
    style: str
    title: str
    width: float = 0.0


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Plot:
    """Dots over time, with levels across: the limit, the 95th percentile."""

    name: str
    title: str
    about: str
    dots: tuple[Mark, ...]
    levels: tuple[tuple[Tick, str], ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Timeline:
    """A row a runner, a bar a job."""

    rows: tuple[Tick, ...]
    bars: tuple[Mark, ...]
    across: tuple[Tick, ...]
    height: int
    about: str
    table: tuple[tuple[str, ...], ...]
    width: int = WIDTH
    left: int = 110
    right: int = WIDTH - RIGHT


@dataclass(frozen=True)
class Heat:
    """A row a check that did not hold in every night, a column a night; `steady` counts the checks that did."""

    nights: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]
    steady: int


@dataclass(frozen=True)
class Charts:
    plots: tuple[Plot, ...]
    timeline: Timeline | None
    heat: Heat | None

    def __bool__(self) -> bool:
        return bool(self.plots or self.timeline or self.heat)


def charts(history: History | None, limits: Limits, trends: Trends) -> Charts:
    """`history` is None where this run did not look at it."""
    works = history.works if history else ()
    deploys = [(w.began, w.ended - w.began, w) for w in works if w.deploys and w.ended and w.conclusion == "success"]
    plots = [_plot("durations", "Deploy durations", deploys, limits.deploy_p95)] if deploys else []
    if history:
        recorded = [w for w in works if w.queued and w.taken]
        waited = [(w.queued, span, w) for w, span in zip(recorded, waits(history).waited, strict=True) if w.queued]
        plots += [_plot("waits", "Waits for a runner", waited, limits.pickup_p95)] if waited else []
    return Charts(tuple(plots), _timeline(history) if history and works else None, _heat(trends))


def _plot(name: str, title: str, points: Sequence[tuple[datetime, timedelta, Work]], limit: timedelta) -> Plot:
    spans = [span for _, span, _ in points]
    p95 = nearest_rank(spans, 95)
    top = max(limit, *spans) * 1.1
    start, end = min(at for at, _, _ in points), max(at for at, _, _ in points)

    def x(at: datetime) -> float:
        return _scaled((at - start) / max(end - start, timedelta(seconds=1)), LEFT, WIDTH - RIGHT)

    def y(span: timedelta) -> float:
        return _scaled(1 - span / top, TOP, HEIGHT - BOTTOM)

    dots = tuple(
        Mark(x(at), y(span), "over" if span > limit else "within", f"{work.told}, {_stamp(at)}: {spoken(span)}")
        for at, span, work in points
    )
    over = sum(span > limit for span in spans)
    about = f"{len(spans)} from {_stamp(start)} to {_stamp(end)}: p95 {spoken(p95)}, longest {spoken(max(spans))}, limit {spoken(limit)}, {over} over it"
    levels = (
        (Tick(y(limit), f"limit {spoken(limit)}"), "limit"),
        (Tick(y(p95), f"p95 {spoken(p95)}"), "p95"),
    )
    step = _step(top)
    up = tuple(Tick(y(step * n), spoken(step * n)) for n in range(int(top / step) + 1))
    return Plot(name, title, about, dots, levels, _days(start, end, x), up)


def _step(top: timedelta) -> timedelta:
    """A round span, of which three to six make the whole."""
    for seconds in (5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200):
        if top / timedelta(seconds=seconds) <= 6:
            return timedelta(seconds=seconds)
    return top / 4


def _days(start: datetime, end: datetime, x: Callable[[datetime], float]) -> tuple[Tick, ...]:
    """The first and the last moment; what lies between, the dots and bars say themselves."""
    return tuple(Tick(x(moment), _stamp(moment)) for moment in dict.fromkeys((start, end)))


def _timeline(history: History) -> Timeline:
    works = history.works[-LATEST:]
    together = {id(w) for pair in overlaps(works, history.now) for w in pair}
    start, end = min(w.began for w in works), max(w.until(history.now) for w in works)
    names = sorted({w.runner for w in works})
    left, right = Timeline.left, WIDTH - RIGHT

    def x(at: datetime) -> float:
        return _scaled((at - start) / max(end - start, timedelta(seconds=1)), left, right)

    bars, table = [], []
    for work in works:
        until = work.until(history.now)
        word = work.conclusion or "running"
        style = "overlap" if id(work) in together else "good" if word == "success" else "bad"
        told = f"{work.told} on {work.runner}, {_stamp(work.began)}, {spoken(until - work.began)}, {word}"
        wide = max(NARROWEST, x(until) - x(work.began))
        bars.append(Mark(min(x(work.began), right - wide), 6 + ROW * names.index(work.runner), style, told, wide))
        overlap = "overlaps another" if id(work) in together else ""
        table.append(
            (str(work.run), work.name, work.runner, _stamp(work.began), spoken(until - work.began), word, overlap)
        )
    about = f"the last {len(works)} production jobs, on {len(names)} runners; {len(together)} of them overlap"
    rows = tuple(Tick(6 + ROW * n + ROW / 2, name) for n, name in enumerate(names))
    return Timeline(
        rows, tuple(bars), _days(start, end, x), 6 + ROW * len(names) + BOTTOM, about, tuple(reversed(table))
    )


def _heat(trends: Trends) -> Heat | None:
    nights = trends.nights(NIGHTS)
    if not nights:
        return None
    by_check = [_worst(night) for night in nights]
    checks = sorted({check for night in by_check for check in night})
    rows = []
    for check in checks:
        letters = [night.get(check, "") for night in by_check]
        if any(letter in "buc" for letter in letters if letter):
            cells = [
                (
                    WORD_OF.get(letter, "none"),
                    MARKS.get(WORD_OF.get(letter, ""), "·"),
                    WORD_OF.get(letter, "not judged"),
                )
                for letter in letters
            ]
            rows.append((check, tuple(cells)))
    return Heat(tuple(f"{n.time.astimezone(UTC):%m-%d}" for n in nights), tuple(rows), len(checks) - len(rows))


def _worst(night: Past) -> dict[str, str]:
    """By check, whichever runner it was: the worst letter."""
    found: dict[str, str] = {}
    for name, letter in night.outcomes.items():
        check = name.partition("[")[0]
        if check not in found or WORSE.index(letter) > WORSE.index(found[check]):
            found[check] = letter
    return found


def _scaled(part: float, low: float, high: float) -> float:
    part = min(1.0, max(0.0, part if math.isfinite(part) else 0.0))
    return round(low + part * (high - low), 1)


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%m-%d %H:%MZ}"
