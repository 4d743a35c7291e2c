"""Rule 1 of the verdict: with a profile, no option, variable or file changes which checks run or what they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from tests.gate import Tree

MEDDLING = [
    ("-k", "reachable"),
    ("-m", "guarantee"),
    ("-x",),
    ("--maxfail=1",),
    ("--lf",),
    ("--ff",),
    ("--nf",),
    ("--sw",),
    ("--sw-skip",),
    ("--deselect=checks/test_small.py::test_one_lock",),
    ("--ignore=checks/test_small.py",),
    ("--ignore-glob=*small*",),
    ("--co",),
    ("--setup-only",),
    ("--setup-plan",),
    ("--setup-show",),
    ("--assert=plain",),
    ("-p", "no:cacheprovider"),
    ("-p", "someplugin"),
    ("-o", "addopts="),
    ("-o", "python_functions=check_*"),
    ("-c", "other.ini"),
    ("--runxfail",),
    ("--continue-on-collection-errors",),
    ("--import-mode=importlib",),
    ("--pyargs",),
    ("--keep-duplicates",),
    ("--doctest-modules",),
    ("--trace",),
    ("-W", "ignore"),
    ("--help",),
    ("--markers",),
    ("--fixtures",),
    ("--cache-show",),
]


@pytest.fixture
def stocked(tree: Tree) -> Tree:
    """With the files that the options name."""
    tree.write("other.ini", "[pytest]\ntestpaths = checks\npythonpath = .\n")
    tree.write("someplugin.py", "def pytest_collection_modifyitems(items):\n    items.clear()\n")
    return tree


def refused(tree: Tree, *args: str, env: dict[str, str] | None = None, says: str) -> None:
    """Exit 4, a sentence, and no deploy left: neither an old one nor a new one, nor outputs."""
    outputs = tree.path.parent / "outputs"
    ran = tree.gate(*args, env={"GITHUB_OUTPUT": str(outputs), **(env or {})})
    assert ran.code == 4, ran.output
    assert says in ran.output, ran.output
    assert (ran.word, ran.verdict["state"]) == ("unknown", "refused")
    assert says in ran.line
    assert not outputs.exists()


def named(tree: Tree, *args: str, env: dict[str, str] | None = None, options: Sequence[str]) -> None:
    """Refused by a sentence that names the options."""
    refused(
        tree,
        *args,
        env=env,
        says="it takes nothing that changes which run or what they mean; given (on the command line or in PYTEST_ADDOPTS)",
    )
    given = tree.verdict()["line"].split("PYTEST_ADDOPTS): ")[1].split(". Leave that out")[0]
    assert {option.split("=")[0] for option in options} <= set(re.split(", |/", given))


@pytest.mark.parametrize("args", MEDDLING, ids=" ".join)
def test_option_is_refused(stocked: Tree, args: tuple[str, ...]) -> None:
    """On the command line."""
    named(stocked, *args, options=[args[0]])


def test_options_in_the_environment_are_refused(stocked: Tree) -> None:
    """All of them in PYTEST_ADDOPTS: one sentence names each, so that one refusal is enough to mend the call."""
    # pytest takes no second name for its settings, and would list or help instead of anything else.
    together = [
        args for args in MEDDLING if args[0] not in ("-c", "-o", "--help", "--markers", "--fixtures", "--cache-show")
    ]
    named(
        stocked,
        env={"PYTEST_ADDOPTS": " ".join(word for args in together for word in args)},
        options=[args[0] for args in together],
    )


@pytest.mark.parametrize(
    "args",
    [
        ("-k", "reachable"),
        ("-x",),
        ("--co",),
        ("--setup-only",),
        ("--assert=plain",),
        ("-o", "addopts="),
        ("-c", "other.ini"),
    ],
    ids=" ".join,
)
def test_option_in_the_environment_is_refused(stocked: Tree, args: tuple[str, ...]) -> None:
    """Those that exit 0 with failing checks, each by itself in PYTEST_ADDOPTS."""
    named(stocked, env={"PYTEST_ADDOPTS": " ".join(args)}, options=[args[0]])


@pytest.mark.parametrize(
    "path",
    ["checks/test_small.py", "checks/test_small.py::test_one_lock", ".", "someplugin.py", "checks/guarantees.py"],
)
def test_path_is_refused(stocked: Tree, path: str) -> None:
    """A part of checks/ is a part run."""
    refused(stocked, path, says="runs all of checks/: give no paths")


@pytest.mark.parametrize(
    ("env", "says"),
    [({"PYTHONOPTIMIZE": "1"}, "PYTHONOPTIMIZE"), ({"PYTEST_PLUGINS": "someplugin"}, "PYTEST_PLUGINS is set")],
)
def test_variable_is_refused(stocked: Tree, env: dict[str, str], says: str) -> None:
    """What changes the meaning from outside."""
    refused(stocked, env=env, says=says)


def test_python_without_assertions_is_refused(stocked: Tree) -> None:
    """python -O."""
    ran = stocked.run("--profile", "quick", python=["-O"])
    assert (ran.code, ran.word) == (4, "unknown")
    assert "Python runs with -O" in ran.output


@pytest.mark.parametrize("name", ["pytest.ini", ".pytest.ini", "pytest.toml"])
def test_other_settings_are_refused(tree: Tree, name: str) -> None:
    """A file that pytest prefers to pyproject.toml takes all of its settings away."""
    toml = name.endswith("toml")
    tree.write(
        name,
        '[pytest]\ntestpaths = ["checks"]\npythonpath = ["."]\naddopts = ["-k", "reachable"]\n'
        if toml
        else "[pytest]\ntestpaths = checks\npythonpath = .\naddopts = -k reachable\n",
    )
    refused(tree, says=f"{name} takes the place of")


@pytest.mark.parametrize(
    "args", [("--noconftest",), ("--confcutdir=checks",), ("-p", "no:fixtures.gate")], ids=" ".join
)
def test_without_the_gate_there_is_no_profile(tree: Tree, args: tuple[str, ...]) -> None:
    """Where this suite is not even loaded, pytest itself refuses; nothing new says deploy."""
    outputs = tree.path.parent / "outputs"
    ran = tree.gate(*args, env={"GITHUB_OUTPUT": str(outputs)})
    assert ran.code != 0
    assert "deploy on" not in ran.output
    assert ran.line == "an old one"
    assert not outputs.exists()


def test_unknown_profile(tree: Tree) -> None:
    """Exit 4 with the nearest right word, and the old verdict is gone."""
    ran = tree.run("--profile", "quik")
    assert (ran.code, ran.word) == (4, "unknown")
    assert 'there is no such profile; did you mean "quick"?' in ran.line


@pytest.mark.parametrize(
    "args",
    [
        ("-q", "checks"),
        ("-v", "-s", "-rA", "-n", "0", "--tb=short", "--durations=3", "--junitxml=out.xml", "--color=no"),
    ],
    ids=" ".join,
)
def test_harmless_options_are_taken(tree: Tree, args: tuple[str, ...]) -> None:
    """What only changes the output leaves the deploy."""
    ran = tree.gate(*args)
    assert (ran.code, ran.line) == (0, "√ deploy on prod-1"), ran.output


def test_from_another_directory(tree: Tree) -> None:
    """Started inside checks/, it judges the same; started in a room without checks, it is refused."""
    inside = tree.run("--profile", "quick", cwd=tree.path / "checks")
    assert (inside.code, inside.word) == (0, "deploy"), inside.output
    outside = tree.run("--profile", "quick", cwd=tree.path / "fixtures")
    assert (outside.code, outside.word) == (4, "unknown"), outside.output
