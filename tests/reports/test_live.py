"""What is shown while the gate looks, on a screen and in a log."""

from __future__ import annotations

import io
import re

import pytest
from _pytest._io import TerminalWriter

from fixtures.look import Waiting
from reports.live import Live, line, lines
from tests.reports.hostile import BROKEN, PAYLOADS


def waiting(elapsed: float, **answered: float | None) -> Waiting:
    return Waiting(elapsed, answered)


def writer(width: int = 60) -> tuple[TerminalWriter, io.StringIO]:
    file = io.StringIO()
    made = TerminalWriter(file)
    made.fullwidth = width
    return made, file


def screen(text: str) -> list[str]:
    """What stands on the screen: `ESC[nF ESC[J` goes up n lines and clears from there."""
    rows: list[str] = []
    for part in re.split("(\x1b\\[\\d+F\x1b\\[J)", text):
        if found := re.fullmatch("\x1b\\[(\\d+)F\x1b\\[J", part):
            del rows[len(rows) - int(found[1]) :]
        else:
            rows += part.splitlines()
    return rows


def test_github_has_answered_with_the_last_of_its_questions() -> None:
    assert Waiting.of(3, {"prod-1": 0.4, "GitHub runs": 1.0, "GitHub jobs": 2.0}).answered == {
        "prod-1": 0.4,
        "GitHub": 2.0,
    }
    for some in ({"GitHub runs": None, "GitHub jobs": 2.0}, {"GitHub jobs": 2.0, "GitHub runs": None}):
        assert Waiting.of(3, some).answered == {"GitHub": None}


def test_on_a_screen_each_has_a_line_and_all_go_when_it_is_over() -> None:
    out, file = writer()
    live = Live(out, screen=True)
    live.show(waiting(0.2, prod=None, GitHub=None))
    live.show(waiting(1.4, prod=None, GitHub=0.7))
    assert screen(file.getvalue()) == ["  prod    … 1 s", "  GitHub  √ answered after 0.7 s"]
    live.clear()
    live.clear()
    assert screen(file.getvalue()) == []


def test_in_a_log_a_line_a_second_is_added() -> None:
    out, file = writer()
    live = Live(out, screen=False)
    for tenth in range(0, 35, 2):
        live.show(waiting(tenth / 10, prod=None, GitHub=0.7))
    live.clear()
    rows = file.getvalue().splitlines()
    assert rows == [f"looking, {n} s: 1 of 2 answered, waiting for prod" for n in (1, 2, 3)]


@pytest.mark.parametrize("payload", [*PAYLOADS, *BROKEN])
def test_a_name_is_a_name(payload: str) -> None:
    told = Waiting(1.0, {payload: None})
    for row in [*lines(told, 40), line(told)]:
        assert "\x1b" not in row
        assert "\n" not in row.replace("\\n", "")
    assert all(len(row) < 40 for row in lines(told, 40))
