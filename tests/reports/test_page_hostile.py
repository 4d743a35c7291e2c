"""Nothing that a host or GitHub says can act in the page: read as a parser reads it, and drawn by a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.reports.pages import HEALTHY, assert_offline, gate, read, verdict

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
ANSI = "\x1b[31mred\x1b[0m"
BIDI = "\u202egnp.exe\u2066"
TOKEN = "ghp_" + "A1b2C3d4E5" * 4


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
    (seen / "context.yml").write_text(
        context.replace("name: prod-runner-02", f"name: {json.dumps(SCRIPT)}")
        .replace("runners: [prod-runner-01, prod-runner-02]", f"runners: [prod-runner-01, {json.dumps(SCRIPT)}]")
        .replace("by: production-owner", f"by: {json.dumps(IMAGE + BIDI)}"),
        "utf-8",
    )
    with edited(seen / "hosts" / "prod-runner-01.json") as host:
        unit = host["sections"]["unit"]
        unit["out"] = f"unit {IMAGE}{SCRIPT}{ANSI}{BIDI} password={TOKEN}\n" + unit["out"]
        unit["err"] = f"</pre></details>{SCRIPT}\n{TOKEN}"
        host["sections"][f"{SCRIPT}{ANSI}"] = dict(unit)
    with edited(seen / "hosts" / "prod-runner-02.json") as host:
        host["runner"], host["reach"], host["sentence"], host["try_"] = (
            SCRIPT,
            "no-answer",
            f"no answer: {IMAGE}{BIDI}{ANSI} password={TOKEN}",
            f"ssh '{IMAGE}' {ANSI}",
        )
    with edited(seen / "github.json") as answers:
        for key, answer in answers.items():
            if "/actions/runners?" in key:
                stranger = {
                    "id": 666,
                    "name": f"{IMAGE}{BIDI}",
                    "os": "linux",
                    "status": "online",
                    "busy": False,
                    "ephemeral": False,
                    "runner_group_id": 3,
                }
                labels = [
                    {"id": n, "name": name, "type": "custom"}
                    for n, name in enumerate(("self-hosted", "prod-runner-01", "production", f"{SCRIPT}{ANSI}"))
                ]
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
        assert not re.search(
            "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", json.dumps(row, ensure_ascii=False)
        )


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --enable-logging=stderr"


def browse(page: Path, place: Path) -> tuple[str, list[str], list[str]]:
    """The document as the browser drew it, what it complained of, and what the page (not the browser itself) asked for."""
    place.mkdir()
    net = place / "net.json"
    # No name resolves: neither the page's requests nor the browser's own leave this machine.
    command = [
        str(CHROMIUM),
        *QUIET.split(),
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={place / 'profile'}",
        f"--log-net-log={net}",
        "--dump-dom",
        f"file://{page}",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    asked = re.findall(
        r'"initiator":"(?!not an origin)[^"]*"[^\n]*?"url":"((?:https?|wss?)://[^"]+)"', net.read_text("utf-8")
    )
    return ran.stdout, complaints, asked


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium")
def test_a_browser_draws_it_alone_and_without_a_complaint(hostile: Path, tmp_path: Path) -> None:
    gate(tmp_path, f"--seen={hostile}", "--profile=nightly", "-q")
    dom, complaints, asked = browse(tmp_path / "report.html", tmp_path / "browser")
    drawn = read(dom)
    assert complaints == []
    assert asked == []
    assert len(drawn.named("tbody", "results-table-row")) >= len(verdict(tmp_path)["checks"]), (
        "pytest-html's script ran"
    )
    assert not [t for t in drawn.named("img") if t.attributes.get("src")]
    assert len(drawn.named("script")) == 2


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium")
def test_the_browser_would_tell(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="http://page.example/a.png"><script>console.error("told")</script>', "utf-8")
    _, complaints, asked = browse(page, tmp_path / "browser")
    assert asked == ["http://page.example/a.png"]
    assert complaints
