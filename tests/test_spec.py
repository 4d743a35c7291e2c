"""specs/001-github-runner-deploy: every requirement is proved by checks that there are, and every link holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixtures import notes
from lab.faults import FAULTS
from tests.test_house import CHECKS
from tests.worlds import ROOT

PLACE = ROOT / "specs" / "001-github-runner-deploy"
DOCUMENTS = sorted(PLACE.rglob("*.md"))
PAGES = [*DOCUMENTS, *sorted((ROOT / "contexts").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
GUARANTEES = "|".join(notes.guarantees(ROOT).values())
TICKET = re.compile(r"\b[A-Z]{3,}-\d{3,}\b")


def test_the_documents_of_the_plan_are_here() -> None:
    names = {path.relative_to(PLACE).as_posix() for path in DOCUMENTS}
    assert names == {
        "spec.md",
        "plan.md",
        "research.md",
        "data-model.md",
        "quickstart.md",
        "tasks.md",
        "contracts/README.md",
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_it_names_checks_that_there_are_and_one_ticket(path: Path) -> None:
    text = path.read_text("utf-8")
    for check in re.findall(rf"`((?:{GUARANTEES})/[a-z0-9-]+)`", text):
        assert check in CHECKS, f"{path.name} names {check}"
    assert "INFRA-472" in text
    assert {name for name in TICKET.findall(text) if not name.startswith(("FR-", "SC-"))} <= {"INFRA-472"}


def test_every_requirement_and_number_is_proved_by_something() -> None:
    text = (PLACE / "spec.md").read_text("utf-8")
    rows = {row[1]: row[2] for row in re.finditer(r"^\| ((?:FR|SC)-\d{3}) \|.*\| ([^|]+) \|$", text, re.MULTILINE)}
    assert [name for name in rows if name.startswith("FR")] == [f"FR-{n:03}" for n in range(1, 9)]
    assert [name for name in rows if name.startswith("SC")] == [f"SC-{n:03}" for n in range(1, 5)]
    for name, proof in rows.items():
        assert re.search(rf"`(?:{GUARANTEES})/", proof), f"{name} is proved by nothing"
    proved = {check.split("/")[0] for proof in rows.values() for check in re.findall(r"`([^`]+)`", proof)}
    assert proved == set(notes.guarantees(ROOT).values()), "a guarantee that answers no requirement"


def test_the_faults_that_it_names_can_be_injected() -> None:
    text = (PLACE / "spec.md").read_text("utf-8")
    named = [
        name
        for some in re.findall(r"faults? ((?:`[a-z-]+`(?:, )?)+)", text)
        for name in re.findall(r"`([a-z-]+)`", some)
    ]
    assert len(named) >= 4 and set(named) <= FAULTS.keys()


def test_every_task_answers_a_requirement() -> None:
    spec, text = (PLACE / "spec.md").read_text("utf-8"), (PLACE / "tasks.md").read_text("utf-8")
    rows = re.findall(r"^\| T-\d\d .*? \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    assert len(rows) >= 12
    for requirement, done in rows:
        assert requirement == "all" or all(f"| {name} |" in spec for name in requirement.split(", "))
        assert "`" in done


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.casefold()).replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, heading = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        assert found.exists(), f"{path.name} links to {target}"
        assert found.is_relative_to(ROOT), target
        if heading:
            there = [anchor(h) for h in re.findall(r"^#+ (.+)$", found.read_text("utf-8"), re.MULTILINE)]
            assert heading in there, f"{path.name} links to {target}"


@pytest.mark.parametrize("path", sorted((ROOT / "contexts").rglob("*.md")), ids=lambda path: path.name)
def test_a_page_that_points_at_another_points_at_a_heading(path: Path) -> None:
    """`page.md#heading` in code, as the pages write it: below contexts/, or from the root."""
    for name, heading in re.findall(r"`([\w/.-]+\.md)(?:#([\w-]+))?`", path.read_text("utf-8")):
        places = [p for p in (ROOT / "contexts" / name, ROOT / name) if p.is_file()]
        assert places, f"{path.name} points at {name}"
        if heading:
            assert re.search(rf"^## {heading}$", places[0].read_text("utf-8"), re.MULTILINE), f"{name}#{heading}"
