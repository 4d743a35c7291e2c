"""What a card gives to type: filled from what was seen, and never a command of a host's or of GitHub's making."""

from __future__ import annotations

import importlib
import json
import re
import string
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from fixtures import context
from fixtures.facts.hostfacts import HOST_FACTS
from fixtures.facts.seen import NotApplicable, Output, Unseen
from fixtures.outcome import filled
from tests.worlds import HEALTHY

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "x'; touch '/tmp/y' $(touch z) `touch w` \n# end"


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
COMMANDS = {
    check: text for check, text in REMEDIES.items() if text.partition(" ")[0] in ("ssh", "gh", "amtool", "promtool")
}


class Anything:
    """Whatever is asked of it says the worst; a host is what `ssh` is asked for, and the context's own."""

    def __init__(self, says: str = HOSTILE) -> None:
        self._says = says

    def __getattr__(self, name: str) -> Any:
        return Anything("a-host") if name == "host" else Anything()

    def __str__(self) -> str:
        return self._says


def names(template: str) -> set[str]:
    return {field.partition(".")[0] for _, field, _, _ in string.Formatter().parse(template) if field}


@pytest.mark.parametrize("check", REMEDIES)
def test_every_check_says_what_to_type(check: str) -> None:
    assert REMEDIES[check].strip()


def acted(command: str, place: Path) -> bool:
    """Whether the command ran a `touch` that nobody wrote, here or where `ssh` would have run it."""
    (place / "touch").write_text(f'#!/bin/sh\n: >"{place}/touched"\n')
    (place / "ssh").write_text('#!/bin/sh\n[ "$1" = -t ] && shift\nshift\nexec /bin/sh -c "$*"\n')
    for tool in ("touch", "ssh"):
        (place / tool).chmod(0o755)
    nothing_else = {"PATH": str(place)}
    subprocess.run(
        ["/bin/sh", "-c", command], env=nothing_else, cwd=place, timeout=20, capture_output=True, check=False
    )
    return (place / "touched").exists()


@pytest.mark.parametrize("check", COMMANDS)
def test_no_value_acts_in_the_command(check: str, tmp_path: Path) -> None:
    template = COMMANDS[check]
    command = filled(template, {name: Anything() for name in names(template)})
    assert not acted(command, tmp_path), command


@pytest.mark.parametrize("template", ["gh run view {x}", "ssh a-host ls {x}", "ssh -t a-host 'cd {x} && ls'"])
def test_it_would_be_seen_to_act(template: str, tmp_path: Path) -> None:
    assert acted(template.replace("{x}", "a; touch b"), tmp_path)
    (tmp_path / "again").mkdir()
    assert not acted(filled(template, {"x": Anything()}), tmp_path / "again")


def test_what_was_not_seen_keeps_its_name() -> None:
    with pytest.raises(KeyError):
        filled("ssh {runner.host} true", {})


@pytest.mark.parametrize(
    ("template", "command"),
    [
        ("gh run view {x}", "gh run view 'a b'"),
        ("ssh {x.host} true", "ssh a-host true"),
        ("ssh {x.host} ls {x}", "ssh a-host ls ''\"'\"'a b'\"'\"''"),
        ("ssh {x.host} 'ls {x}; true'", "ssh a-host 'ls '\\''a b'\\''; true'"),
        ("gh api a; gh api {x}", "gh api a; gh api 'a b'"),
    ],
)
def test_a_value_is_quoted_for_every_shell_that_reads_it(template: str, command: str) -> None:
    class Value:
        host = "a-host"

        def __str__(self) -> str:
            return "a b"

    assert filled(template, {"x": Value()}) == command


def test_what_a_host_prints_never_acts_in_what_is_to_be_tried(tmp_path: Path) -> None:
    """Each word of each answer of a healthy host is replaced by a hostile one; whatever is then unknown says what to try."""
    host = json.loads((HEALTHY / "hosts" / "prod-runner-01.json").read_text("utf-8"))
    world = context.read(HEALTHY / "context.yml", date(2026, 11, 25))
    tried: set[str] = set()
    for name, fact in HOST_FACTS.items():
        section = host["sections"][name]
        words = {word for word in re.split(r"[\s=:]+", section["out"]) if word}
        outs = {section["out"].replace(word, payload) for word in words for payload in ("x';touch", "$(touch)")}
        for out in (*outs, ""):
            for code in (0, 90, 91, 92, 93):
                try:
                    fact.parse(replace(Output(**section), out=out, code=code), world.runners[0])
                except Unseen as unseen:
                    tried.add(unseen.try_)
                except NotApplicable:
                    pass
    assert len(tried) > 20
    hostile = {command for command in tried if "touch" in command}
    assert [command for command in hostile if acted(command, tmp_path)] == []
