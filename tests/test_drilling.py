"""`--drill`: what is judged with it and without it, and the calls that are refused before anything is touched."""

from __future__ import annotations

import pytest

from tests.gate import Tree

ALLOWED = {
    "allowed": True,
    "windows": [{"days": "mon-sun", "opens": "00:00", "closes": "24:00"}],
    "runners": ["prod-1"],
    "token": {"env": "PREFLIGHT_GITHUB_TOKEN"},
}
A_DRILL = '''
from checks.guarantees import FAILOVER, verifies


@verifies(FAILOVER, "takeover", severity="blocks", when="drill", remedy="look why")
def test_takeover(world):
    """The standby takes over."""
    assert world
'''


@pytest.fixture
def drill(tree: Tree) -> Tree:
    tree.write("checks/test_drill.py", A_DRILL)
    tree.world["drills"] = dict(ALLOWED)
    return tree


def test_a_drill_is_judged_with_its_option_alone(drill: Tree) -> None:
    with_it = drill.run("--drill")
    assert (with_it.code, with_it.outcomes()) == (0, {"failover/takeover": "held"})
    assert with_it.line == "1 of 1 checks held; this is no clearance"
    assert "failover/takeover" not in drill.run().outcomes()
    assert "failover/takeover" not in drill.gate().outcomes()


def test_a_drill_that_is_asked_for_without_the_option_says_what_is_missing(drill: Tree) -> None:
    ran = drill.run("-k", "takeover")
    assert ran.code == 5
    assert "-k 'takeover' selects failover/takeover: drills, which act on the world; add --drill" in ran.output


def test_it_goes_with_no_profile(drill: Tree) -> None:
    ran = drill.gate("--drill")
    assert ran.code == 4 and "--drill acts and clears nothing" in ran.output
    assert ran.word == "unknown", "the old deploy is gone"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--plan",), "add --drill"),
        (("--how", "listener-hung"), "add --drill"),
        (("--drill", "--how", "listener-hang"), 'there is no such way; did you mean "listener-hung"'),
        (("--drill", "--only-hosts"), "leave one of them out"),
    ],
)
def test_a_call_that_means_nothing_is_refused(drill: Tree, args: tuple[str, ...], says: str) -> None:
    ran = drill.run(*args)
    assert ran.code == 4 and says in ran.output


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"allowed": False}, "no drill is allowed here"),
        ({"windows": []}, "set drills.windows"),
    ],
)
def test_what_the_context_does_not_allow_is_refused_before_anything_is_asked(
    drill: Tree, change: dict[str, object], says: str
) -> None:
    drill.world["drills"] = {**ALLOWED, **change}
    ran = drill.run("--drill")
    assert ran.code == 4 and says in ran.output
    assert "as things are it is refused" in drill.run("--drill", "--plan").output


def test_a_plan_touches_nothing(drill: Tree) -> None:
    ran = drill.run("--drill", "--plan")
    assert ran.code == 0
    assert ran.line == "a plan, and nothing was touched; this is no clearance"
