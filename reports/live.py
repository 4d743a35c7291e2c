"""What a person sees while the gate looks: a line a host and one for GitHub, drawn over; without a screen, a line a second."""

from __future__ import annotations

from _pytest._io import TerminalWriter

from fixtures.look import Waiting
from reports.cards import one_line

PLAIN_SECONDS = 1.0


class Live:
    """`screen`: whether what was written can be drawn over."""

    def __init__(self, writer: TerminalWriter, screen: bool) -> None:
        self._writer = writer
        self._screen = screen
        self._drawn = 0
        self._said = 0.0

    def show(self, waiting: Waiting) -> None:
        if self._screen:
            rows = lines(waiting, self._writer.fullwidth)
            self.clear()
            self._writer.write("".join(f"{row}\n" for row in rows), flush=True)
            self._drawn = len(rows)
        elif waiting.elapsed - self._said >= PLAIN_SECONDS:
            self._said = waiting.elapsed
            self._writer.line(line(waiting))
            self._writer.flush()

    def clear(self) -> None:
        """Takes the drawn lines away: what stays is the summary of the look."""
        if self._drawn:
            self._writer.write(f"\x1b[{self._drawn}F\x1b[J", flush=True)
            self._drawn = 0


def lines(waiting: Waiting, width: int) -> list[str]:
    """Cut to the width: a line that wraps could not be drawn over."""
    widest = max((len(one_line(name)) for name in waiting.answered), default=0)
    rows = [
        f"  {one_line(name):<{widest}}  "
        + (f"… {waiting.elapsed:.0f} s" if when is None else f"√ answered after {when:.1f} s")
        for name, when in waiting.answered.items()
    ]
    return [row[: max(1, width - 1)] for row in rows]


def line(waiting: Waiting) -> str:
    done = len(waiting.answered) - len(waiting.still)
    return one_line(
        f"looking, {waiting.elapsed:.0f} s: {done} of {len(waiting.answered)} answered, waiting for {', '.join(waiting.still)}"
    )
