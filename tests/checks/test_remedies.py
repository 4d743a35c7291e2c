"""What a card gives to type: filled from what was seen, and never a command of a host's or of GitHub's making."""

from __future__ import annotations

import importlib
import shlex
import string
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from fixtures.outcome import Remedy

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "x; touch '/tmp/y' $(touch z) `touch w` \n# end"
# What people wrote into the context themselves; everything else comes from a host or from GitHub.
OURS = frozenset({"world", "runner", "limits"})


def remedies() -> dict[str, str]:
    found = {}
    for path in sorted((ROOT / "checks").glob("test_*.py")):
        for test in vars(importlib.import_module(f"checks.{path.stem}")).values():
            if isinstance(test, FunctionType):
                for mark in getattr(test, "pytestmark", ()):
                    if mark.name == "guarantee":
                        found[mark.kwargs["id"]] = mark.kwargs["remedy"]
    return found


REMEDIES = remedies()


class Anything:
    """Whatever is asked of it says the worst."""

    def __getattr__(self, name: str) -> Any:
        return Anything()

    def __str__(self) -> str:
        return HOSTILE


@pytest.mark.parametrize("check", REMEDIES)
def test_every_check_says_what_to_type(check: str) -> None:
    assert REMEDIES[check].strip()


@pytest.mark.parametrize("check", REMEDIES)
def test_what_was_seen_is_one_word_of_the_command(check: str) -> None:
    """Also where the template has quotes of its own: inside them a quoted word would end them."""
    template = REMEDIES[check]
    names = {field.partition(".")[0] for _, field, _, _ in string.Formatter().parse(template) if field}
    theirs = names - OURS
    given = {name: Anything() if name in theirs else Plain() for name in names}
    if theirs:
        words = shlex.split(Remedy().vformat(template, (), given))
        assert any(" ".join(HOSTILE.split()) in word for word in words)
        assert not [word for word in words if word in ("touch", "x;", "y")]
    else:
        Remedy().vformat(template, (), given)


class Plain:
    """A value of the context: a name without blanks."""

    def __getattr__(self, name: str) -> Any:
        return Plain()

    def __str__(self) -> str:
        return "plain"
