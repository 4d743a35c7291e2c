"""`--watch RUN`: what is judged with it and without it, the calls that mean nothing, and what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gate import Tree

A_WATCH = '''
from checks.guarantees import PACE, verifies


@verifies(PACE, "watched", severity="blocks", when="drill", remedy="gh run cancel {watched.run}")
def test_watched(watched):
    """The run goes well."""
    assert watched.well, watched
'''


@pytest.fixture
def watch(tree: Tree) -> Tree:
    tree.write("checks/test_watch.py", A_WATCH)
    tree.world["records"] = {"watches": "watches.jsonl"}
    return tree


def watches_of(tree: Tree) -> Path:
    return tree.path / "contexts" / "watches.jsonl"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--watch", "latest-ish"), "a run is named by its number"),
        (("--watch", "0"), "a run is named by its number"),
        (("--watch", "7;id"), "a run is named by its number"),
        (("--watch", "9" * 30), "a run is named by its number"),
        (("--cancel",), "add --watch RUN"),
        (("--watch", "7", "--profile", "quick"), "--profile is something else"),
        (("--watch", "7", "--drill"), "--drill is something else"),
        (("--watch", "7", "--only-hosts"), "leave one of them out"),
        (("--watch", "7", "--cancel"), "in GITHUB_TOKEN, with the permission Actions: write"),
    ],
)
def test_a_call_that_means_nothing_is_refused(watch: Tree, args: tuple[str, ...], says: str) -> None:
    ran = watch.run(*args)
    assert ran.code == 4 and says in ran.output
    assert ran.word == "unknown", "the old deploy is gone"
    assert not watches_of(watch).exists()


def test_without_its_option_it_is_not_judged(watch: Tree) -> None:
    assert "pace/watched" not in watch.run().outcomes()
    assert "pace/watched" not in watch.gate().outcomes()
    ran = watch.run("-k", "watched")
    assert ran.code == 5 and "selects pace/watched, which watches a run: add --watch RUN" in ran.output


def test_with_its_option_it_alone_is_judged_and_clears_nothing(watch: Tree) -> None:
    """GitHub answers that there is no such run: unknown, at once, with what to type, and kept for a replay."""
    ran = watch.run("--watch", "99")
    assert (ran.code, ran.outcomes()) == (1, {"pace/watched": "unknown"})
    assert ran.line == "0 of 1 checks held; this is no clearance"
    assert "run 99 of acme/widgets: GitHub knows no such run, or the token may not read Actions" in ran.output
    assert "gh run list --repo acme/widgets" in ran.output
    (line,) = watches_of(watch).read_text().splitlines()
    told = json.loads(line)
    assert (told["run"], told["word"], [t["word"] for t in told["troubles"]]) == (99, "unknown", ["unknown"])
    again = watch.run(f"--seen={watch.reports / 'seen'}")
    assert again.outcomes() == {"pace/watched": "unknown"} and "RECORDING" in again.output
    assert len(watches_of(watch).read_text().splitlines()) == 1, "a replay watches nothing"


def test_a_file_that_cannot_be_written_is_said(watch: Tree) -> None:
    watch.world["records"] = {"watches": "small.yml/watches.jsonl"}
    ran = watch.run("--watch", "99")
    assert ran.code == 1 and "what was seen could not be written down: watches.jsonl" in ran.output
