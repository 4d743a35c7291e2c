"""`--drill` and the rollback drills: refused where nothing is declared to rehearse on, planned where something is."""

from __future__ import annotations

import pytest

from tests.gate import Tree
from tests.test_drilling import ALLOWED

A_DRILL = '''
from checks.guarantees import ROLLBACK, verifies


@verifies(ROLLBACK, "interrupted", severity="blocks", when="drill", remedy="look why")
def test_interrupted(interrupted):
    """A killed deploy does no harm."""
    assert not interrupted.faults()
'''
TARGET = {
    "host": "app-rehearsal",
    "versions": ["one", "two"],
    "deploy": "deploy {version}",
    "back": "back {version}",
    "served": "served",
}


@pytest.fixture
def drill(tree: Tree) -> Tree:
    tree.write("checks/test_drill.py", A_DRILL)
    tree.world["drills"] = dict(ALLOWED)
    return tree


def test_without_a_target_it_is_refused_with_the_key_to_set(drill: Tree) -> None:
    ran = drill.run("--drill")
    assert ran.code == 4
    assert (
        "say so in the context: drills: {target: {host: …, versions: […], deploy: …, back: …, served: …}}" in ran.output
    )


def test_the_plan_names_the_machine_and_the_commands(drill: Tree) -> None:
    drill.world["drills"]["target"] = TARGET
    ran = drill.run("--drill", "--plan")
    assert ran.code == 0 and ran.line == "a plan, and nothing was touched; this is no clearance"
    for says in (
        "lay a note on app-rehearsal",
        "run there, to its end: deploy {version}",
        "after each: back {version}",
    ):
        assert says in ran.output


def test_a_target_that_is_none_is_answered_with_line_and_key(drill: Tree) -> None:
    drill.world["drills"]["target"] = {**TARGET, "versions": ["one", "$(id)"]}
    ran = drill.run("--drill")
    assert ran.code == 4 and "drills.target.versions: expected letters, digits" in ran.output
