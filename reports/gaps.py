"""What each runner showed of its masking: what it promises to mask, and the known gaps that no runner closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fixtures.facts.canary import Canaries, Sighting, State


@dataclass(frozen=True)
class Shown:
    """The newest canary on one runner. Forms by name: `leaks` are promised and in clear, `gaps` in clear as nobody promises
    otherwise, `news` masked though nobody promises it, `lost` not in the log."""

    runner: str
    run: int
    ended: str
    masked: int
    promised: int
    leaks: tuple[str, ...]
    gaps: tuple[str, ...]
    news: tuple[str, ...]
    lost: tuple[str, ...]

    def __repr__(self) -> str:
        said = f"{self.runner}, run {self.run} of {self.ended}: {self.masked} of {self.promised} promised forms masked"
        told = (("in clear", self.leaks), ("known gaps", self.gaps), ("masked though nobody promises it", self.news), ("not in the log", self.lost))  # fmt: skip
        return "; ".join([said, *(f"{word}: {', '.join(forms)}" for word, forms in told if forms)])


def shown(canaries: Canaries | None) -> tuple[Shown, ...]:
    """None of them where the run did not ask, or could not see it."""
    return tuple(_shown(each) for _, each in sorted(canaries.seen.items())) if canaries else ()


def _shown(sighting: Sighting) -> Shown:
    promised, others = sighting.matrix.promised, sighting.matrix.unpromised
    return Shown(
        sighting.runner,
        sighting.matrix.run,
        f"{sighting.ended:%Y-%m-%d %H:%M}Z",
        len(_of(promised, "masked")),
        len(promised),
        _of(promised, "clear"),
        _of(others, "clear"),
        _of(others, "masked"),
        _of(promised, "missing") + _of(others, "missing"),
    )


def _of(forms: Mapping[str, State], state: State) -> tuple[str, ...]:
    return tuple(name for name, found in forms.items() if found == state)
