"""How much work something is, counted in calls instead of seconds: the same on a busy machine as on an idle one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


class TooMuchWork(AssertionError):
    """It did more than it may."""


def calls(work: Callable[[], Any], most: int = 50_000_000) -> int:
    """Calls and steps of generators, in Python and into C, while `work` runs; ends it when they are more than `most`."""
    count = 0

    def seen(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1
            if count > most:
                sys.setprofile(None)
                raise TooMuchWork(f"more than {most} calls")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
