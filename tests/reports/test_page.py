"""The page of a run: what stands on it, and that nothing a host or GitHub says can act in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
NIGHT = ROOT / "contexts" / "recordings" / "night"
HEALTHY = ROOT / "tests" / "recordings" / "healthy"
VOID = {"meta", "link", "img", "br", "input", "source"}

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
ANSI = "\x1b[31mred\x1b[0m"
BIDI = "\u202egnp.exe\u2066"
TOKEN = "ghp_" + "A1b2C3d4E5" * 4


@dataclass
class Tag:
    name: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Read(HTMLParser):
    """A page as a browser's parser sees it: each element with its attributes and the text inside it."""

    tags: list[Tag] = field(default_factory=list)
    open: list[Tag] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(Tag(tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(self.tags[-1])

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop().name != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            tag.text += data

    def named(self, name: str, classed: str = "") -> list[Tag]:
        return [t for t in self.tags if t.name == name and (not classed or classed in t.attributes.get("class", "").split())]

    def blob(self) -> dict[str, Any]:
        """What pytest-html's script draws its table from."""
        value: dict[str, Any] = json.loads(next(t for t in self.tags if "data-jsonblob" in t.attributes).attributes["data-jsonblob"])
        return value

    @property
    def title(self) -> str:
        return self.named("title")[0].text


def read(page: str) -> Read:
    parser = Read()
    parser.feed(page)
    return parser


def gate(place: Path, *arguments: str, code: str = "import pytest, sys; raise SystemExit(pytest.main(sys.argv[1:]))") -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GITHUB_", "PREFLIGHT_"))}
    command = [sys.executable, "-c", code, f"--reports={place}", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


def verdict(place: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((place / "verdict.json").read_text("utf-8"))
    return value


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
    assert "RECORDING of 2026-11-24" in banner.text


def test_headings_are_in_order(night: tuple[Path, str, Read]) -> None:
    levels = [int(t.name[1]) for t in night[2].tags if re.fullmatch("h[1-6]", t.name)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


def test_each_check_that_does_not_hold_has_its_card(night: tuple[Path, str, Read]) -> None:
    place, _, page = night
    cards = page.named("article", "card")
    bad = [c for c in verdict(place)["checks"] if c["outcome"] not in ("held", "not applicable") and not c["cause"]]
    assert bad
    assert len(cards) == len(bad)
    for check in bad:
        card = next(c for c in cards if check["check"] in c.text and (check["runner"] in c.text))
        for part in (check["claim"], check["saw"], check["try"], f"contexts/{check['guarantee']}.md#{check['check'].split('/')[1]}"):
            assert part in card.text
    assert len(page.named("button", "copy")) == len(bad)


def test_the_matrix_has_every_runner_and_guarantee(night: tuple[Path, str, Read]) -> None:
    place, _, page = night
    matrix = page.named("table", "matrix")[0].text
    for word in {c["guarantee"] for c in verdict(place)["checks"]} | {"prod-runner-01", "prod-runner-02", "production", "3 broken of 8", "not fit"}:
        assert word in matrix


def test_the_table_says_ours_and_not_node_ids(night: tuple[Path, str, Read]) -> None:
    place, _, page = night
    tests = page.blob()["tests"]
    rows = [re.sub("<[^>]+>", "|", "".join(row["resultsTableRow"])) for some in tests.values() for row in some]
    checks = verdict(place)["checks"]
    assert len(rows) == len(checks)
    for check in checks:
        assert any(check["outcome"] in row and f"|{check['check']}|" in row and (check["runner"] or "production") in row for row in rows), check["check"]
    assert not any(".py" in row or "::" in row for row in rows)
    # pytest-html's script makes a class of it; a blank would throw.
    assert all(re.fullmatch("[a-z]+", row["result"]) for some in tests.values() for row in some)


def test_the_evidence_is_folded_and_there(night: tuple[Path, str, Read]) -> None:
    _, _, page = night
    folded = [t for t in page.named("details") if "open" not in t.attributes]
    text = " ".join(t.text for t in folded)
    assert "listeners: done, exit 0" in text
    assert "/repos/acme/widgets/actions/runners?per_page=100" in text
    assert len(folded) == len(page.named("details"))


def assert_offline(text: str, page: Read) -> None:
    for tag in page.tags:
        for name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href", "formaction"):
            target = tag.attributes.get(name, "")
            assert target in ("", "data:,") or re.match(r"(\#|(\.\./)+contexts/|seen/)", target), (tag.name, name, target)
        assert not [name for name in tag.attributes if name.startswith("on")], tag
    styles = "".join(t.text for t in page.named("style"))
    assert "@import" not in styles
    assert "url(" not in styles
    policy = next(t.attributes["content"] for t in page.named("meta") if t.attributes.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]
    assert str(ROOT) not in text
    assert str(Path.home()) + "/" not in text


def test_it_fetches_nothing_and_names_no_path_of_the_machine(night: tuple[Path, str, Read]) -> None:
    assert_offline(night[1], night[2])
    assert set(night[2].blob()["environment"]) == {"Runner Preflight", "Context", "Digest", "Profile"}


@contextmanager
def edited(path: Path) -> Iterator[Any]:
    value = json.loads(path.read_text("utf-8"))
    yield value
    path.write_text(json.dumps(value), "utf-8")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in which hosts and GitHub say what they can to break the page."""
    seen = tmp_path_factory.mktemp("hostile") / "seen"
    shutil.copytree(HEALTHY, seen)
    context = (seen / "context.yml").read_text("utf-8")
    (seen / "context.yml").write_text(context.replace("name: prod-runner-02", f"name: {json.dumps(SCRIPT)}").replace("by: production-owner", f"by: {json.dumps(IMAGE + BIDI)}"), "utf-8")
    with edited(seen / "hosts" / "prod-runner-01.json") as host:
        unit = host["sections"]["unit"]
        unit["out"] = f"unit {IMAGE}{SCRIPT}{ANSI}{BIDI} password={TOKEN}\n" + unit["out"]
        unit["err"] = f"</pre></details>{SCRIPT}\n{TOKEN}"
        host["sections"][f"{SCRIPT}{ANSI}"] = dict(unit)
    with edited(seen / "hosts" / "prod-runner-02.json") as host:
        host["runner"], host["reach"], host["sentence"], host["try_"] = SCRIPT, "no-answer", f"no answer: {IMAGE}{BIDI}{ANSI} password={TOKEN}", f"ssh '{IMAGE}' {ANSI}"
    with edited(seen / "github.json") as answers:
        for key, answer in answers.items():
            if "/actions/runners?" in key:
                stranger = {"id": 666, "name": f"{IMAGE}{BIDI}", "os": "linux", "status": "online", "busy": False, "ephemeral": False, "runner_group_id": 3}
                labels = [{"id": n, "name": name, "type": "custom"} for n, name in enumerate(("self-hosted", "prod-runner-01", "production", f"{SCRIPT}{ANSI}"))]
                answer["body"]["runners"].append(stranger | {"labels": labels})
                answer["body"]["total_count"] = len(answer["body"]["runners"])
        answers[f"/repos/{SCRIPT}?x={IMAGE}"] = {"status": 0, "failure": f"{IMAGE} {TOKEN}"}
    return seen


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_hosts_and_github_say_is_text(hostile: Path, tmp_path: Path, workers: tuple[str, ...]) -> None:
    ran = gate(tmp_path, f"--seen={hostile}", "--profile=nightly", *workers)
    text = (tmp_path / "report.html").read_text("utf-8")
    page = read(text)
    assert ran.stdout.splitlines()[-1].startswith("RECORDING, no clearance"), ran.stdout + ran.stderr
    assert any(IMAGE in c["saw"] for c in verdict(tmp_path)["checks"]), "the stranger's name reaches a card"

    cards = " ".join(t.text for t in page.named("article", "card"))
    assert IMAGE in cards
    assert SCRIPT in " ".join(t.text for t in page.named("table", "matrix"))
    assert IMAGE in " ".join(t.text for t in page.named("pre"))
    assert len(page.named("script")) == 2
    assert [t.attributes.get("src") for t in page.named("img")] == [None]
    assert_offline(text, page)
    assert TOKEN not in text
    assert TOKEN[:20] not in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    for row in (row for some in page.blob()["tests"].values() for row in some):
        # Drawn with innerHTML: only the cells' own tags, and no tag at all in the log.
        drawn = read("".join(row["resultsTableRow"]))
        assert {t.name for t in drawn.tags} == {"td"}
        assert {name for t in drawn.tags for name in t.attributes} <= {"class", "tabindex"}
        assert not read(row["log"]).tags
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", json.dumps(row, ensure_ascii=False))


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
    assert len(links) == 2
    assert all((tmp_path / unquote(link)).is_file() for link in links)


def test_a_waiver_is_shown_and_its_check_is_waived(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    shutil.copytree(NIGHT, seen)
    with (seen / "context.yml").open("a", encoding="utf-8") as file:
        file.write("waivers:\n  - {check: pace/p95, reason: the registry moves, by: release-manager, ticket: OPS-12, until: 2026-12-10}\n")
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
    broken = "import sys; sys.path.insert(0, '')\nfrom reports import page\npage.Page.told = None\nimport pytest\nraise SystemExit(pytest.main(sys.argv[1:]))"
    ran = gate(tmp_path, f"--seen={NIGHT}", "--profile=quick", code=broken)
    assert ran.returncode == verdict(tmp_path)["exit"]
    assert ran.stdout.splitlines()[-1] == verdict(tmp_path)["line"]
    assert "the page could not be made" in ran.stdout
    assert read((tmp_path / "report.html").read_text("utf-8")).title == verdict(tmp_path)["line"]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --enable-logging=stderr"


def browse(page: Path, place: Path) -> tuple[str, list[str], list[str]]:
    """The document as the browser drew it, what it complained of, and what the page (not the browser itself) asked for."""
    place.mkdir()
    net = place / "net.json"
    # No name resolves: neither the page's requests nor the browser's own leave this machine.
    command = [str(CHROMIUM), *QUIET.split(), "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={place / 'profile'}", f"--log-net-log={net}", "--dump-dom", f"file://{page}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    asked = re.findall(r'"initiator":"(?!not an origin)[^"]*"[^\n]*?"url":"((?:https?|wss?)://[^"]+)"', net.read_text("utf-8"))
    return ran.stdout, complaints, asked


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium")
def test_a_browser_draws_it_alone_and_without_a_complaint(hostile: Path, tmp_path: Path) -> None:
    gate(tmp_path, f"--seen={hostile}", "--profile=nightly", "-q")
    dom, complaints, asked = browse(tmp_path / "report.html", tmp_path / "browser")
    drawn = read(dom)
    assert complaints == []
    assert asked == []
    assert len(drawn.named("tbody", "results-table-row")) >= len(verdict(tmp_path)["checks"]), "pytest-html's script ran"
    assert not [t for t in drawn.named("img") if t.attributes.get("src")]
    assert len(drawn.named("script")) == 2


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium")
def test_the_browser_would_tell(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="http://page.example/a.png"><script>console.error("told")</script>', "utf-8")
    _, complaints, asked = browse(page, tmp_path / "browser")
    assert asked == ["http://page.example/a.png"]
    assert complaints
