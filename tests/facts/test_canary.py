"""The canary: what the workflow's script prints is what the check looks for, under every rule that a runner may lack."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fixtures import workflows
from fixtures.facts import canary
from fixtures.facts.canary import Canaries, Matrix, Sighting, matrix
from fixtures.facts.seen import Unseen
from lab import canary as script
from lab.agent.masker import RULES

RUN, ATTEMPT = 41_000_000_123, 2
NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
WEEK = timedelta(days=7)


def seen(*off: str) -> Matrix:
    """What the log shows of a runner that lacks these rules."""
    found = matrix("\n".join(script.masked(RUN, ATTEMPT, frozenset(off))))
    assert found
    return found


def clear(found: Matrix) -> set[str]:
    return {name for name, state in found.promised.items() if state == "clear"}


def sighting(**changes: object) -> Sighting:
    made = Sighting("prod-runner-01", "https://github.example/job/1", NOW - timedelta(hours=3), seen())
    return replace(made, **changes)  # type: ignore[arg-type]


def test_without_masking_every_form_stands_in_clear() -> None:
    """So the script prints each form that the check computes, letter for letter."""
    found = matrix("\n".join(script.said(RUN, ATTEMPT)))
    assert found
    assert set(found.promised.values()) == set(found.unpromised.values()) == {"clear"}
    assert (found.run, found.attempt) == (RUN, ATTEMPT)


def test_a_runner_that_masks_hides_what_it_promises_and_no_more() -> None:
    found = seen()
    assert set(found.promised.values()) == {"masked"}
    assert set(found.unpromised.values()) == {"clear"}, "each of these is a known gap; one that is masked is news"


LACKS = {
    **{rule: {rule} for rule in RULES},
    **{rule: {f"{rule}/{n}" for n in range(3)} for rule in ("base64", "base64-shift-1", "base64-shift-2")},
    "lines": {"line/1", "line/2", "line/3"},
    "trim": set(),  # nothing that ::add-mask:: names is trimmed: the page says so
    "add-mask": set(seen().promised),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_missing_is_named(rule: str) -> None:
    assert clear(seen(rule)) == LACKS[rule]


def test_lengths_end_in_each_way_of_base64() -> None:
    values = canary.values(RUN, ATTEMPT)
    assert [len(values[f"length-{n}"]) % 3 for n in range(3)] == [0, 1, 2]
    assert all(canary.MARK in value for value in values.values())
    assert canary.values(RUN, 1) != values != canary.values(RUN + 1, ATTEMPT)


def test_other_logs_are_no_canary() -> None:
    assert matrix("") is None
    assert matrix("canary: plain/length-0 ***") is None
    assert matrix('echo "canary: run $GITHUB_RUN_ID attempt $GITHUB_RUN_ATTEMPT"') is None


def test_a_log_that_was_cut_proves_nothing() -> None:
    lines = script.masked(RUN, ATTEMPT)
    cut = matrix("\n".join(lines[: len(lines) // 3]))
    assert cut
    with pytest.raises(Unseen, match=r"its log lacks \d+ of 25 forms"):
        sighting(matrix=cut).leaks()


def test_what_is_clear_counts_even_in_a_log_that_was_cut() -> None:
    lines = script.masked(RUN, ATTEMPT, frozenset({"base64"}))
    cut = matrix("\n".join(lines[: len(lines) // 3]))
    assert cut
    assert sighting(matrix=cut).leaks()


def test_of_each_runner() -> None:
    world = Canaries(NOW, "x.yml", True, {"prod-runner-01": sighting()})
    assert world.fault("prod-runner-01", WEEK) == ""
    assert world.fault("prod-runner-02", WEEK) == "no canary has run on prod-runner-02 in the last 7 d"
    old = replace(world, seen={"prod-runner-01": sighting(ended=NOW - timedelta(days=8))})
    assert "8 d old" in old.fault("prod-runner-01", WEEK)
    nothing = Canaries(NOW, "x.yml", False, {})
    assert "there is no workflow x.yml" in nothing.fault("prod-runner-01", WEEK)
    leaky = replace(world, seen={"prod-runner-01": sighting(matrix=seen("xml"))})
    assert leaky.fault("prod-runner-01", WEEK) == f"in clear in the log of run {RUN}: xml"


def test_a_gap_that_is_closed_is_news() -> None:
    found = seen()
    better = replace(found, unpromised={**found.unpromised, "hex": "masked"})
    assert sighting(matrix=better).news() == ["hex"]
    assert "masked though nobody promises it: hex" in repr(sighting(matrix=better))
    assert "25 of 25 promised forms masked, 17 known gaps" in repr(sighting())


def test_the_canary_is_known_by_its_words() -> None:
    """Its job takes no lock, and is no production job for that; any other that runs there is."""
    text = script.WORKFLOW.read_text("utf-8")
    path = ".github/workflows/anything.yml"
    assert workflows.read(path, text).canary
    chosen = text.replace("[prod-runner-01, prod-runner-02]", "[alpha, beta-2]").replace("17 2 * * *", "5 4 * * 1-5")
    assert chosen != text
    assert workflows.read(path, f"# ours\n{chosen}").canary
    for old, new in (
        ("permissions: {}", "permissions: {contents: write}"),
        ('echo "canary: run', 'deploy; echo "canary: run'),
        ("[prod-runner-01, prod-runner-02]", '["${{ inputs.x }}"]'),
        ("    timeout-minutes: 5", "    environment: production"),
        ("  workflow_dispatch:", "  workflow_dispatch:\n  pull_request_target:"),
    ):
        assert old in text
        assert not workflows.read(path, text.replace(old, new)).canary, new
