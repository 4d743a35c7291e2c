"""The house rules: which room may import which, and the three places of every check."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.faults import FAULTS

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("checks", "fixtures", "reports", "lab", "tests")
STDLIB_ONLY = "fixtures/facts"

# room -> the rooms it may import from (design.md part 2)
ARROWS = {
    "fixtures/facts": {"fixtures/facts"},
    "fixtures": {"fixtures", "fixtures/facts"},
    "checks": {"checks", "fixtures/facts"},
    "reports": {"reports", "fixtures", "fixtures/facts"},
    "lab": {"lab"},
}


def room_of(path: Path) -> str:
    name = path.relative_to(ROOT).as_posix()
    return STDLIB_ONLY if name.startswith(STDLIB_ONLY) else name.split("/")[0]


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, however deep in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides the arrow"
            module = node.module or ""
            # `from fixtures import facts` may name a room below.
            yield from (f"{module}.{alias.name}" for alias in node.names) if module in ROOMS else (module,)


def files() -> list[Path]:
    return [path for room in ARROWS for path in sorted((ROOT / room).rglob("*.py")) if room_of(path) == room]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_room_imports_only_what_its_arrows_allow(path: Path) -> None:
    room = room_of(path)
    for module in imports(path):
        top = module.split(".")[0]
        if top in ROOMS:
            target = STDLIB_ONLY if module.startswith("fixtures.facts") else top
            assert target in ARROWS[room], f"{room} must not import {module}"
        elif room == STDLIB_ONLY:
            import sys

            assert top in sys.stdlib_module_names, f"facts are standard library only, not {module}"


def marked_checks() -> dict[str, ast.FunctionDef]:
    """Every `@verifies(GUARANTEE, "slug", …)` in checks/, by id; read, not imported."""
    found = {}
    slugs = dict(
        re.findall(
            r'^([A-Z_]+) = Guarantee\(\s*"([a-z-]+)"', (ROOT / "checks/guarantees.py").read_text("utf-8"), re.MULTILINE
        )
    )
    for path in sorted((ROOT / "checks").glob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "verifies":
                    guarantee, slug = mark.args[0], mark.args[1]
                    assert (
                        isinstance(guarantee, ast.Name)
                        and isinstance(slug, ast.Constant)
                        and isinstance(slug.value, str)
                    )
                    assert path.name == f"test_{slugs[guarantee.id].replace('-', '_')}.py", (
                        f"{slug.value} stands in {path.name}"
                    )
                    found[f"{slugs[guarantee.id]}/{slug.value}"] = node
    return found


CHECKS = marked_checks()


def test_there_are_checks() -> None:
    assert len(CHECKS) >= 20
    assert {check.split("/")[0] for check in CHECKS} >= {
        "runner-health",
        "secret-masking",
        "serialization",
        "failover",
        "rollback",
    }


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_has_a_fault_that_breaks_it(check: str) -> None:
    assert any(check == name.partition("[")[0] for fault in FAULTS.values() for name in fault.breaks), (
        f"{check}: no fault in lab/ breaks it"
    )


def when(check: str) -> str:
    (mark,) = (
        m for m in CHECKS[check].decorator_list if isinstance(m, ast.Call) and getattr(m.func, "id", "") == "verifies"
    )
    (found,) = (word.value for word in mark.keywords if word.arg == "when")
    assert isinstance(found, ast.Constant)
    return str(found.value)


def test_a_drill_is_proved_by_running_it() -> None:
    """A fault that breaks a drill says which drill is to be run under it, and no other fault says so."""
    drills = {check for check in CHECKS if when(check) == "drill"}
    for fault in FAULTS.values():
        named = {name.partition("[")[0] for name in fault.breaks | fault.unknown} & drills
        assert bool(named) == bool(fault.drill), f"fault {fault.name}: {sorted(named)}, run with {fault.drill}"


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_explained(check: str) -> None:
    guarantee, slug = check.split("/")
    page = ROOT / "contexts" / f"{guarantee}.md"
    assert page.is_file(), f"{check}: there is no {page.name}"
    assert f"\n## {slug}\n" in page.read_text("utf-8"), f"{check}: contexts/{page.name} has no heading {slug}"


def test_every_heading_explains_a_check() -> None:
    for guarantee in {check.split("/")[0] for check in CHECKS}:
        for slug in re.findall(r"^## (.+)$", (ROOT / "contexts" / f"{guarantee}.md").read_text("utf-8"), re.MULTILINE):
            assert f"{guarantee}/{slug}" in CHECKS, f"contexts/{guarantee}.md explains {slug}, which is no check"


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_says_its_claim_in_one_sentence(check: str) -> None:
    claim = ast.get_docstring(CHECKS[check])
    assert claim and claim.endswith(".") and "\n\n" not in claim


def test_every_fault_names_checks_there_are() -> None:
    for fault in FAULTS.values():
        for name in fault.breaks | fault.unknown:
            assert name.partition("[")[0] in CHECKS, f"fault {fault.name} names {name}"


def test_every_make_target_is_phony_and_explained() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE)
    phony = set(re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)[0].split())
    assert set(targets) == phony
    for target in targets:
        assert re.search(rf"^{target}:.*## \S", text, re.MULTILINE), f"make {target} has no sentence"


def test_no_file_tells_of_the_machine_it_was_written_on() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue
        text = path.read_text("utf-8", errors="replace")
        here = [str(ROOT), str(Path.home())] if Path.home() != Path("/") else [str(ROOT)]
        assert not [place for place in here if len(place) > 6 and place in text], f"{name} names a path of this machine"
