"""The page of a run: what stands on it, and when."""

from __future__ import annotations

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.reports.pages import HEALTHY, NIGHT, Read, assert_offline, gate, read, verdict


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Read]:
    place = tmp_path_factory.mktemp("night")
    gate(place, f"--seen={NIGHT}", "--profile=nightly", "-q")
    page = (place / "report.html").read_text("utf-8")
    return place, page, read(page)


def test_title_and_heading_are_the_verdict(night: tuple[Path, str, Read]) -> None:
    place, _, page = night
    line = verdict(place)["line"]
    assert page.title == line
    assert [h.text for h in page.named("h1")] == [line]
    assert page.named("html")[0].attributes["lang"] == "en"
    banner = page.named("header", "banner")[0]
    assert "none" in banner.attributes["class"].split(), "a recording is no green page"
    then = json.loads((NIGHT / "meta.json").read_text("utf-8"))["time"][:10]
    assert f"RECORDING of {then}" in banner.text


def test_headings_are_in_order(night: tuple[Path, str, Read]) -> None:
    levels = [int(t.name[1]) for t in night[2].tags if re.fullmatch("h[1-6]", t.name)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


def test_each_check_that_does_not_hold_stands_on_a_card(night: tuple[Path, str, Read]) -> None:
    """What came with another check's break stands on that one's card, with what was seen of it."""
    place, _, page = night
    cards = page.named("article", "card")
    bad = [c for c in verdict(place)["checks"] if c["outcome"] not in ("held", "not applicable") and not c["cause"]]
    assert bad
    assert len(cards) == 2
    for check in bad:
        card = next(c for c in cards if check["check"] in c.text and (check["runner"] in c.text))
        assert check["saw"] in card.text
    for check in [c for c in bad if c["check"] in ("runner-health/service-running", "pace/p95")]:
        card = next(c for c in cards if f"{check['check']}" in c.text.split("promise")[0])
        for part in (check["claim"], check["try"], f"contexts/{check['guarantee']}.md#{check['check'].split('/')[1]}"):
            assert part in card.text
    assert len(page.named("button", "copy")) == len(cards)


def test_the_matrix_has_every_runner_and_guarantee(night: tuple[Path, str, Read]) -> None:
    place, _, page = night
    matrix = page.named("table", "matrix")[0].text
    checks = verdict(place)["checks"]
    health = [c["outcome"] for c in checks if c["guarantee"] == "runner-health" and c["runner"] == "prod-runner-01"]
    broken = f"{health.count('broken')} broken of {len(health)}"
    assert health.count("broken") > 1
    for word in {c["guarantee"] for c in checks} | {
        "prod-runner-01",
        "prod-runner-02",
        "production",
        broken,
        "not fit",
    }:
        assert word in matrix


def test_the_table_says_ours_and_not_node_ids(night: tuple[Path, str, Read]) -> None:
    place, _, page = night
    tests = page.blob()["tests"]
    rows = [re.sub("<[^>]+>", "|", "".join(row["resultsTableRow"])) for some in tests.values() for row in some]
    checks = verdict(place)["checks"]
    assert len(rows) == len(checks)
    for check in checks:
        assert any(
            check["outcome"] in row and f"|{check['check']}|" in row and (check["runner"] or "production") in row
            for row in rows
        ), check["check"]
    assert not any(".py" in row or "::" in row for row in rows)
    # pytest-html's script makes a class of it; a blank would throw.
    assert all(re.fullmatch("[a-z]+", row["result"]) for some in tests.values() for row in some)


def test_the_evidence_is_folded_and_there(night: tuple[Path, str, Read]) -> None:
    _, _, page = night
    folded = [t for t in page.named("details") if "open" not in t.attributes]
    text = " ".join(t.text for t in folded)
    assert "processes: done, exit 0" in text
    assert "/repos/acme/widgets/actions/runners?per_page=100" in text
    assert len(folded) == len(page.named("details"))


def test_it_fetches_nothing_and_names_no_path_of_the_machine(night: tuple[Path, str, Read]) -> None:
    assert_offline(night[1], night[2])
    assert set(night[2].blob()["environment"]) == {"Runner Preflight", "Context", "Digest", "Profile"}


# A run that judges a recording as if it had looked itself.
LIVE = """
import sys; sys.path.insert(0, '')
from dataclasses import replace
from fixtures import gate
real = gate._verdict
def verdict(it, status):
    it.call, it.summary = replace(it.call, seen=None), 'asked 2 hosts'
    return real(it, status)
gate._verdict = verdict
import pytest
raise SystemExit(pytest.main(sys.argv[1:]))
"""


def test_a_deploy_names_its_runner_and_its_end(tmp_path: Path) -> None:
    shutil.copytree(HEALTHY, tmp_path / "seen")
    gate(tmp_path, f"--seen={tmp_path / 'seen'}", "--profile=quick", "-q", code=LIVE)
    page = read((tmp_path / "report.html").read_text("utf-8"))
    banner = page.named("header", "banner")[0]
    assert page.title == verdict(tmp_path)["line"] == "√ deploy on prod-runner-01"
    assert "go" in banner.attributes["class"].split()
    assert banner.attributes["data-expires"].replace("+00:00", "Z") == verdict(tmp_path)["expires"]
    assert "prod-runner-01, runs-on [self-hosted, prod-runner-01]" in page.named("dl", "facts")[0].text
    assert "asked 2 hosts" in page.named("dl", "facts")[0].text
    assert "RECORDING" not in page.named("main")[0].text
    assert "Nothing: every check" in page.named("main")[0].text
    links = [t.attributes["href"] for t in page.named("a") if t.attributes["href"].startswith("seen/")]
    assert len(links) == len(list((tmp_path / "seen" / "hosts").glob("*.json"))) > 2
    assert all((tmp_path / unquote(link)).is_file() for link in links)


def test_a_waiver_is_shown_and_its_check_is_waived(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    shutil.copytree(NIGHT, seen)
    with (seen / "context.yml").open("a", encoding="utf-8") as file:
        file.write(
            "waivers:\n  - {check: pace/p95, reason: the registry moves, by: release-manager, ticket: OPS-12, until: 2026-12-10}\n"
        )
    gate(tmp_path / "reports", f"--seen={seen}", "--profile=nightly", "-q")
    page = read((tmp_path / "reports" / "report.html").read_text("utf-8"))
    assert "until 2026-12-10: the registry moves (release-manager, OPS-12); it forgives" in page.named("main")[0].text
    assert "waived" in page.blob()["tests"]["pace/p95"][0]["resultsTableRow"][0]


def test_a_refused_call_leaves_a_page_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<title>√ deploy on an old runner</title>", "utf-8")
    assert gate(tmp_path, f"--seen={NIGHT}", "--profile=quick", "-k", "failover").returncode == 4
    page = read((tmp_path / "report.html").read_text("utf-8"))
    assert page.title == verdict(tmp_path)["line"]
    assert "exit 4" in page.named("main")[0].text


def test_a_run_that_is_killed_leaves_no_older_deploy(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<title>√ deploy on an old runner</title>", "utf-8")
    killed = "import os, sys; sys.path.insert(0, '')\nfrom fixtures import gate\ngate.recorded.finished = lambda *a: os._exit(9)\nimport pytest\npytest.main(sys.argv[1:])"
    assert gate(tmp_path, f"--seen={NIGHT}", "--profile=quick", code=killed).returncode == 9
    assert read((tmp_path / "report.html").read_text("utf-8")).title == "? do not deploy: the gate has not finished"


def test_html_is_the_same_page_elsewhere_and_pytest_html_is_silent(tmp_path: Path) -> None:
    elsewhere = tmp_path / "new" / "other.html"
    ran = gate(tmp_path, f"--seen={NIGHT}", "--profile=quick", f"--html={elsewhere}")
    assert "Generated html report" not in ran.stdout
    assert ran.stdout.splitlines()[-1] == verdict(tmp_path)["line"]
    assert elsewhere.read_text("utf-8") == (tmp_path / "report.html").read_text("utf-8")


def test_a_page_that_cannot_be_made_does_not_take_the_verdict_away(tmp_path: Path) -> None:
    broken = "import sys; sys.path.insert(0, '')\nfrom reports import page\npage.told = None\nimport pytest\nraise SystemExit(pytest.main(sys.argv[1:]))"
    ran = gate(tmp_path, f"--seen={NIGHT}", "--profile=quick", code=broken)
    assert ran.returncode == verdict(tmp_path)["exit"]
    assert ran.stdout.splitlines()[-1] == verdict(tmp_path)["line"]
    assert "the page could not be made" in ran.stdout
    assert read((tmp_path / "report.html").read_text("utf-8")).title == verdict(tmp_path)["line"]
