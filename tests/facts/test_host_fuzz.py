"""Mutated host output at every parser there is: a fact, or Unseen, or NotApplicable, and never another exception.

What is mutated is what real hosts said: the healthy recording, and the samples of other distributions. A fact is used as
the checks use it, so that what a parser let through cannot hurt later either.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.facts import rights
from fixtures.facts.context import Runner
from fixtures.facts.hostfacts import HOST_FACTS
from fixtures.facts.hosts import Hosts, JobHooks, Tool
from fixtures.facts.seen import NotApplicable, Output, Unseen
from fixtures.facts.target import TARGET_FACTS
from tests.checks import test_every_check as every
from tests.facts.distributions import SAMPLES
from tests.worlds import HEALTHY, healthy, runner

WORLD = healthy()[0]
SAID: dict[str, list[tuple[str, Runner]]] = {}
for made in WORLD.runners:
    for fact_name, section in json.loads((HEALTHY / "hosts" / f"{made.name}.json").read_text("utf-8"))[
        "sections"
    ].items():
        SAID.setdefault(fact_name, []).append((section["out"], made))
for sample in SAMPLES:
    SAID.setdefault(sample.fact, []).append((sample.out, sample.runner))

DECLARED = Hosts(
    runtime="docker",
    tools=(Tool("git", "2.18"),),
    hooks=JobHooks("/opt/h.sh"),
    groups=(),
    sudo=(),
    keys=("SHA256:x",),
    sshd=("permitrootlogin no",),
)
USES: dict[str, Callable[[Any, Runner], object]] = {
    "memory": lambda fact, _: (fact.killed(timedelta(hours=24)), fact.percent, fact.load_per_cpu),
    "service_env": lambda fact, of: fact.hook_faults(DECLARED.hooks, of.user),
    "tools": lambda fact, _: fact.faults(DECLARED.tools),
    "egress": lambda fact, _: fact.at(WORLD).silent,
    "credentials": lambda fact, of: fact.faults(of, WORLD.hosts.credentials, datetime.now(UTC), timedelta(days=14)),
    "certificates": lambda fact, _: [c.left(datetime.now(UTC)) for c in fact.at(WORLD).shown],
    "runtime": lambda fact, of: fact.fault(of.user),
    "controls": lambda fact, of: rights.faults(
        every.value("service_env", every.look()[0], of), fact, DECLARED, WORLD.primary
    ),
    "machine": lambda fact, _: fact.shares(replace(fact, runner="other")),
    "dry_run": lambda fact, _: fact.fault,
    "reaches": lambda fact, _: [t.good for t in fact.at(WORLD).targets],
}

NOISE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "\t",
            "\n",
            "\r\n",
            "\0",
            "-1",
            "0",
            "9" * 400,
            "²",
            "٣",
            "1e9",
            "NaN",
            "end",
            "init 1",
            "\u2028",
            "\ufffd",
            "x" * 5000,
            "=",
            "/",
            "..",
        ]
    ),
)
MUTATION = st.tuples(
    st.sampled_from(["drop", "twice", "cut", "swap", "letter", "word", "insert", "glue"]),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    NOISE,
)


def mutated(text: str, ways: list[tuple[str, int, int, str]]) -> str:
    for way, first, second, noise in ways:
        lines = text.split("\n")
        at = first % len(lines)
        if way == "drop":
            del lines[at]
        elif way == "twice":
            lines.insert(second % (len(lines) + 1), lines[at])
        elif way == "cut":
            return "\n".join(lines)[: first % (len(text) + 1)]
        elif way == "swap":
            other = second % len(lines)
            lines[at], lines[other] = lines[other], lines[at]
        elif way == "letter" and lines[at]:
            letter = second % len(lines[at])
            lines[at] = lines[at][:letter] + noise[:1] + lines[at][letter + 1 :]
        elif way == "word":
            words = lines[at].split(" ")
            words[second % len(words)] = noise
            lines[at] = " ".join(words)
        elif way == "insert":
            lines.insert(at, noise)
        elif way == "glue":
            lines[at] = lines[at] + noise
        text = "\n".join(lines)
    return text


def told(fact: str, out: Output, of: Runner) -> str:
    """The fact as a sentence after all its use, or why there is none."""
    try:
        found = HOST_FACTS[fact].parse(out, of)
        said = repr(found)
        if use := USES.get(fact):
            use(found, of)
        return said
    except Unseen as unseen:
        return unseen.what
    except NotApplicable as why:
        return why.reason


OUTPUT = st.builds(
    lambda which, ways, code, text: (which, ways, code, text),
    st.integers(0, 10**6), st.lists(MUTATION, min_size=1, max_size=6), st.sampled_from([0, 0, 0, 1, 2, 90, 91, 92, 94, 95, 124, 127]),
    st.one_of(st.none(), st.text(max_size=400)),
)  # fmt: skip


@pytest.mark.parametrize("fact", HOST_FACTS)
@settings(max_examples=60, deadline=None)
@given(case=OUTPUT)
def test_whatever_a_host_prints(fact: str, case: tuple[int, list[Any], int, str | None]) -> None:
    which, ways, code, text = case
    said, of = SAID[fact][which % len(SAID[fact])]
    assert told(fact, Output("done", code, mutated(said, ways) if text is None else text), of)


NOTHING = ("", "\n", " ", "\0", "\n\n\n", "Connection to host closed.\n", "sh: 1: cd: can't cd to /x\n")


@pytest.mark.parametrize("fact", HOST_FACTS)
def test_nothing_printed_proves_nothing(fact: str) -> None:
    """An empty answer is no fact whatever its exit code: a check over it could hold."""

    def judged(out: Output) -> None:
        found = HOST_FACTS[fact].parse(out, runner())
        if use := USES.get(fact):
            use(found, runner())

    for out, code in itertools.product(NOTHING, (0, 1, 2, 126, 127, 137)):
        with pytest.raises(Unseen):
            judged(Output("done", code, out))


@pytest.mark.parametrize("fact", TARGET_FACTS)
@settings(max_examples=60, deadline=None)
@given(case=OUTPUT)
def test_whatever_the_target_prints(fact: str, case: tuple[int, list[Any], int, str | None]) -> None:
    _, ways, code, text = case
    raw = json.loads((HEALTHY / "hosts" / "target%20production.json").read_text("utf-8"))["sections"][fact]["out"]
    out = Output("done", code, mutated(raw, ways) if text is None else text)
    try:
        found: Any = TARGET_FACTS[fact].parse(out, WORLD)
        said = repr(found)
        if fact == "host_lock":
            said = found.told(datetime.now(UTC))
        else:
            found.faults("a" * 40, "b" * 40)
    except Unseen as unseen:
        said = unseen.what
    assert said


@pytest.mark.parametrize("fact", TARGET_FACTS)
@pytest.mark.parametrize("out", ["", "\n", "\0", "Connection closed\n"])
def test_a_target_that_prints_nothing_proves_nothing(fact: str, out: str) -> None:
    with pytest.raises(Unseen):
        TARGET_FACTS[fact].parse(Output("done", 0, out), WORLD)
