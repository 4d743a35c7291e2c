"""Rule 2 of the verdict: a check that did not judge is not held, however it got out of judging."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.gate import CHECKS, Tree

CUT = "serialization/never-cut"


def test_honest_check_deploys(tree: Tree) -> None:
    """The control of all that follows: one more check that holds leaves the deploy."""
    tree.check("assert True")
    ran = tree.gate()
    assert (ran.code, ran.word, ran.line) == (0, "deploy", "√ deploy on prod-1"), ran.output
    assert list(ran.outcomes().values()) == ["held"] * 7


@dataclass(frozen=True)
class Dodge:
    """A check that does not judge, and what it gives instead: outcome, exit code, verdict, words of what was seen."""

    outcome: str
    code: int
    word: str
    saw: str
    body: str = "assert True"
    marks: str = ""
    args: str = ""
    head: str = ""


def broken(saw: str, body: str, marks: str = "", args: str = "", head: str = "") -> Dodge:
    return Dodge("broken", 1, "hold", saw, body, marks, args, head)


def unknown(saw: str, body: str = "assert True", marks: str = "", args: str = "", head: str = "") -> Dodge:
    return Dodge("unknown", 1, "unknown", saw, body, marks, args, head)


def crashed(saw: str, body: str = "assert True", marks: str = "", args: str = "", head: str = "") -> Dodge:
    return Dodge("crashed", 3, "unknown", saw, body, marks, args, head)


def fixture(body: str) -> str:
    """A fixture `given` of the check's own file."""
    return f"import pytest\nfrom fixtures.facts.seen import NotApplicable, Unseen\n\n@pytest.fixture\ndef given():\n    {body}\n"


DODGES = {
    "asserts": broken("the lock is gone", 'assert False, "the lock is gone"'),
    "raises AssertionError": broken("the lock is gone", 'raise AssertionError("the lock is gone")'),
    "skips": unknown("not today", 'pytest.skip("not today")'),
    "skips in a fixture": unknown("not today", args="given", head=fixture('pytest.skip("not today")')),
    "marked skip": unknown("later", marks='@pytest.mark.skip(reason="later")'),
    "marked skipif": unknown("never here", marks='@pytest.mark.skipif(True, reason="never here")'),
    "importorskips": unknown("no_such_module_here", 'pytest.importorskip("no_such_module_here")'),
    "xfails": unknown("known", "assert False", marks='@pytest.mark.xfail(reason="known")'),
    "xpasses": unknown("known", marks='@pytest.mark.xfail(reason="known")'),
    "xpasses strictly": unknown("XPASS(strict)", marks="@pytest.mark.xfail(strict=True)"),
    "xfails without running": unknown("NOTRUN", marks="@pytest.mark.xfail(run=False)"),
    "xfails in its body": unknown("known", 'pytest.xfail("known")'),
    "could not see": unknown("could not see the lock", 'raise Unseen("the lock", "look again")'),
    "could not see in a fixture": unknown(
        "could not see the lock", args="given", head=fixture('raise Unseen("the lock", "look again")')
    ),
    "crashes": crashed("KeyError: 'lock'", '{}["lock"]'),
    "crashes in setup": crashed("KeyError: 'lock'", args="given", head=fixture('{}["lock"]')),
    "crashes in teardown": crashed("KeyError: 'lock'", args="given", head=fixture('yield; {}["lock"]')),
    "crashes in teardown after it broke": crashed(
        "KeyError: 'lock'", "assert False", args="given", head=fixture('yield; {}["lock"]')
    ),
    "could not see in teardown": crashed(
        "could not see the lock", args="given", head=fixture('yield; raise Unseen("the lock")')
    ),
    "asserts in a fixture": crashed("AssertionError", args="given", head=fixture("assert False")),
    "asks for no such fact": crashed("no_such_fact", args="no_such_fact"),
    "fails": crashed("it is bad", 'pytest.fail("it is bad")'),
    "exits": crashed("SystemExit: 0", "raise SystemExit(0)"),
    "returns its answer": crashed("returned", "return False"),
    "is a coroutine": crashed("async def", marks="# coroutine"),
    "fails in a subtest": broken("one", "with subtests.test(): assert False, 'one'", args="subtests"),
    "fails in its second subtest": broken(
        "two",
        "for good, said in (True, 'one'), (False, 'two'):\n        with subtests.test(): assert good, said",
        args="subtests",
    ),
    "could not see in a subtest": unknown(
        "could not see the lock",
        "with subtests.test(): raise Unseen('the lock')\n    with subtests.test(): assert True",
        args="subtests",
    ),
    "skips in a subtest": unknown("not today", "with subtests.test(): pytest.skip('not today')", args="subtests"),
}


@pytest.mark.parametrize("dodge", DODGES.values(), ids=DODGES)
def test_check_that_does_not_judge(tree: Tree, dodge: Dodge) -> None:
    """One such check among six that hold is enough."""
    tree.check(dodge.body, marks=dodge.marks, args=dodge.args, head=dodge.head)
    if dodge.marks == "# coroutine":
        tree.rewrite("checks/test_never_cut.py", "def test_never_cut", "async def test_never_cut")
    ran = tree.gate()
    assert (ran.outcomes()[CUT], ran.code, ran.word) == (dodge.outcome, dodge.code, dodge.word), ran.output
    assert CUT in ran.line
    assert dodge.saw in ran.saw(CUT)


@pytest.mark.parametrize("outcome", ["broken", "unknown"])
def test_check_that_warns(tree: Tree, outcome: str) -> None:
    """What only warns is said, and holds nothing up; a crash of ours does, even there."""
    tree.check('assert False, "slow"' if outcome == "broken" else 'raise Unseen("the pace")', severity="warns")
    ran = tree.gate()
    assert (ran.outcomes()[CUT], ran.code, ran.word) == (outcome, 0, "deploy"), ran.output
    assert f"{CUT}, {outcome}, warns" in ran.output


def test_crash_of_a_check_that_warns(tree: Tree) -> None:
    """Exit 3, whatever its severity."""
    tree.check('{}["lock"]', severity="warns")
    ran = tree.gate()
    assert (ran.code, ran.word) == (3, "unknown")


def test_nothing_is_applicable(tree: Tree) -> None:
    """All of it may be not applicable for production, and never for a runner: nothing was seen of it."""
    body = 'raise NotApplicable("there is nothing here")'
    tree.check(body)
    fine = tree.gate()
    assert (fine.outcomes()[CUT], fine.code, fine.word) == ("not applicable", 0, "deploy"), fine.output
    tree.write(
        "checks/test_small.py",
        CHECKS.replace("    assert ", f"    {body}\n    assert ").replace(
            "        assert not choice", f"        {body}"
        )
        + "\nfrom fixtures.facts.seen import NotApplicable\n",
    )
    ran = tree.gate()
    assert set(ran.outcomes().values()) == {"not applicable"}
    assert (ran.code, ran.word) == (1, "unknown")
    assert "nothing was seen of it" in ran.line


@pytest.mark.parametrize(
    "head",
    [
        "import no_such_module_here",
        "def (",
        "raise SystemExit(0)",
        "import pytest; pytest.skip('not today', allow_module_level=True)",
        "import pytest; pytest.importorskip('no_such_module_here')",
        "import pytest; pytest.exit('bye', returncode=0)",
    ],
)
def test_file_that_cannot_be_loaded(tree: Tree, head: str) -> None:
    """Its checks cannot even be counted, so there is no green without them."""
    tree.check("assert True", head=head)
    ran = tree.gate()
    assert (ran.code, ran.word) == (3, "unknown"), ran.output


def test_duplicate_id(tree: Tree) -> None:
    """An id names one check: the second could answer for the first."""
    tree.check("assert False", slug="never-cut")
    tree.write(
        "checks/test_other.py",
        (tree.path / "checks" / "test_never_cut.py").read_text("utf-8").replace("assert False", "assert True"),
    )
    ran = tree.gate()
    assert (ran.code, ran.word) == (4, "unknown")
    assert f"two checks are called {CUT}" in ran.line


def test_check_judged_twice_by_parameters(tree: Tree) -> None:
    """The same id with two parameters is two answers to one question."""
    tree.check("assert good", marks='@pytest.mark.parametrize("good", [True, False])', args="good")
    ran = tree.gate()
    assert (ran.code, ran.word) == (4, "unknown")


@pytest.mark.parametrize(
    "text",
    [
        "def test_stray():\n    assert True\n",
        "import unittest\n\nclass TestStray(unittest.TestCase):\n    def test_stray(self):\n        self.skipTest('no')\n",
    ],
)
def test_unmarked_test(tree: Tree, text: str) -> None:
    """A test that proves no guarantee has no place among the checks."""
    tree.write("checks/test_stray.py", text)
    ran = tree.gate()
    assert (ran.code, ran.word) == (4, "unknown")
    assert "test_stray proves no guarantee" in ran.line


HOOKS = {
    "drops items": "def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if 'never_cut' not in i.name]",
    "drops items first": "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if 'never_cut' not in i.name]",
    "deselects": "def pytest_collection_modifyitems(items, config):\n    config.hook.pytest_deselected(items=[items.pop()])",
    "ignores a file": "def pytest_ignore_collect(collection_path):\n    return True if 'never_cut' in collection_path.name else None",
    "lists files to ignore": "collect_ignore = ['test_never_cut.py']",
    "skips each": "import pytest\ndef pytest_runtest_setup(item):\n    if 'never_cut' in item.name:\n        pytest.skip('not here')",
    "calls nothing": "def pytest_pyfunc_call(pyfuncitem):\n    return True",
    "rewrites reports": "import pytest\n@pytest.hookimpl(wrapper=True, tryfirst=True)\ndef pytest_runtest_makereport():\n    report = yield\n    report.outcome = 'passed'\n    report.__dict__.get('preflight', {}).update(outcome='held')\n    return report",
    "sets the exit code": "import pytest\n@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish(session):\n    session.exitstatus = 0",
    "swallows the refusal": "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_collection(session):\n    try:\n        return (yield)\n    except pytest.UsageError:\n        return True",
}


@pytest.mark.parametrize("text", HOOKS.values(), ids=HOOKS)
def test_conftest_that_acts_on_the_run(tree: Tree, text: str) -> None:
    """A conftest.py beside the checks may define fixtures; with hooks it could make any check vanish."""
    tree.check("assert False")
    tree.write("checks/conftest.py", text + "\n")
    ran = tree.gate()
    assert ran.word == "unknown"
    assert ran.code == 4, ran.output
    assert "conftest.py has " in ran.line


def test_conftest_that_loads_a_plugin(tree: Tree) -> None:
    """pytest itself takes that for a file that cannot be loaded."""
    tree.check("assert False")
    tree.write("checks/conftest.py", "pytest_plugins = ['elsewhere']\n")
    tree.write("elsewhere.py", HOOKS["drops items first"])
    ran = tree.gate()
    assert (ran.code, ran.word) == (3, "unknown"), ran.output


def test_conftest_in_a_folder_of_the_checks(tree: Tree) -> None:
    """One that pytest loads only while it collects."""
    tree.check("assert False")
    tree.write("checks/site/conftest.py", HOOKS["drops items first"])
    tree.write("checks/site/__init__.py", "")
    ran = tree.gate()
    assert (ran.code, ran.word) == (4, "unknown"), ran.output


def test_check_that_loads_a_plugin(tree: Tree) -> None:
    """A test module's own pytest_plugins."""
    tree.check("assert False", head="pytest_plugins = ['elsewhere']")
    tree.write("elsewhere.py", HOOKS["drops items"])
    ran = tree.gate()
    assert (ran.code, ran.word) == (4, "unknown"), ran.output
    assert "elsewhere.py has pytest_collection_modifyitems" in ran.line


def test_conftest_with_fixtures(tree: Tree) -> None:
    """The control: fixtures are welcome."""
    tree.check("assert given == 1", args="given")
    tree.write("checks/conftest.py", "import pytest\n\n@pytest.fixture\ndef given():\n    return 1\n")
    ran = tree.gate()
    assert (ran.code, ran.word) == (0, "deploy"), ran.output


@pytest.mark.parametrize(
    ("body", "when"),
    [
        ("pytest.exit('bye', returncode=0)", "call"),
        ("yield; pytest.exit('bye', returncode=0)", "teardown"),
        ("request.session.shouldstop = 'enough'", "call"),
    ],
)
def test_check_that_ends_the_run(tree: Tree, body: str, when: str) -> None:
    """pytest.exit() with exit code 0, even after every check has held."""
    slug = "zz-last"
    if when == "teardown":
        tree.check("assert True", args="given", head=fixture(body), slug=slug)
    else:
        tree.check(body, args="request", slug=slug)
    ran = tree.gate()
    assert (ran.code, ran.word) == (2, "unknown"), ran.output


def test_conftest_that_shadows_a_fact(tree: Tree) -> None:
    """A fixture of the suite's own name would let a check judge what stands beside it instead of what was seen."""
    tree.write("checks/conftest.py", "import pytest\n\n@pytest.fixture\ndef contact():\n    return None\n")
    ran = tree.gate()
    assert (ran.code, ran.word) == (4, "unknown")
    assert "defines the fixture contact, which is a fact of this suite" in ran.output
