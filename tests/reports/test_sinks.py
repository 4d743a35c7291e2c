"""Every payload through every place that a run writes to: names, labels, log lines and answers do no harm anywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import xmlschema
from prometheus_client.parser import text_string_to_metric_families

from tests.reports import hostile
from tests.reports.pages import HEALTHY, ROOT, assert_offline, read
from tests.reports.test_page import LIVE

pytestmark = pytest.mark.xdist_group("sinks")  # a run of the gate a payload, shared by what is asked of it
NAMED = {name: value for name, value in vars(hostile).items() if name.isupper() and isinstance(value, str)}
# Control characters, and those that turn the direction of writing; a line's end is no harm.
HARM = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Said:
    """All that one run wrote."""

    place: Path
    terminal: str
    payload: str

    def text(self, name: str) -> str:
        return (self.place / name).read_text("utf-8")


def recording(place: Path, payload: str) -> None:
    """Hosts and GitHub say the payload wherever they may say a text of their own."""
    shutil.copytree(HEALTHY, place)
    for path in (place / "hosts").glob("*.json"):
        host = json.loads(path.read_text("utf-8"))
        for section in host["sections"].values():
            section["out"] = f"{payload}\n{section['out']}\n{payload}"
            section["err"] = payload
        path.write_text(json.dumps(host), "utf-8")
    silent = json.loads((place / "hosts" / "prod-runner-02.json").read_text("utf-8"))
    silent |= {"reach": "no-answer", "sentence": f"said {payload}", "try_": f"ssh {payload}"}
    (place / "hosts" / "prod-runner-02.json").write_text(json.dumps(silent), "utf-8")
    answers = json.loads((place / "github.json").read_text("utf-8"))
    for key, answer in answers.items():
        if "/actions/runners?" in key:
            stranger = {
                "id": 666,
                "name": payload,
                "os": "linux",
                "status": "online",
                "busy": False,
                "ephemeral": False,
                "runner_group_id": 3,
            }
            labels = [
                {"id": n, "name": name, "type": "custom"}
                for n, name in enumerate(("self-hosted", "prod-runner-01", "production", payload))
            ]
            answer["body"]["runners"].append(stranger | {"labels": labels})
            answer["body"]["total_count"] = len(answer["body"]["runners"])
    answers[f"/repos/{payload}"] = {"status": 0, "failure": payload}
    (place / "github.json").write_text(json.dumps(answers), "utf-8")


@pytest.fixture(scope="module", params=NAMED, ids=str.lower)
def said(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Said:
    place = tmp_path_factory.mktemp("said")
    payload = NAMED[request.param]
    recording(place / "seen", payload)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GITHUB_", "PREFLIGHT_"))}
    actions = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(place / "step.md"),
        "GITHUB_OUTPUT": str(place / "output"),
    }
    command = [sys.executable, "-c", LIVE, f"--reports={place}", f"--seen={place / 'seen'}", "--profile=nightly", "-v"]
    ran = subprocess.run(command, cwd=ROOT, env=clean | actions, capture_output=True, timeout=120, check=False)
    assert ran.returncode == 1, ran.stdout.decode() + ran.stderr.decode()
    return Said(place, ran.stdout.decode("utf-8"), payload)


def terminal(said: Said) -> None:
    assert not HARM.search(said.terminal)
    token = said.terminal.splitlines()[0].removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", token)
    stopped = True
    for line in said.terminal.splitlines()[1:]:
        if line == f"::{token}::":
            stopped = False
        elif line == f"::stop-commands::{token}":
            stopped = True
        elif line.lstrip().startswith("::") or "##[" in line:
            # What the runner would obey is ours, or it is stopped.
            assert stopped or re.match("::(group|endgroup|error|warning)", line), line
    assert said.terminal.splitlines()[-2].startswith("× do not deploy")


def page(said: Said) -> None:
    text = said.text("report.html")
    assert "could not be made" not in text
    assert not HARM.search(text)
    drawn = read(text)
    assert len(drawn.named("script")) == 2
    assert_offline(text, drawn)


def summary(said: Said) -> None:
    for name in ("summary.md", "step.md"):
        text = said.text(name)
        assert not HARM.search(text)
        assert "strangers-excluded" in text
        assert text.startswith("## `")


def junit(said: Said) -> None:
    root = ET.fromstring(said.text("junit.xml"))  # noqa: S314 - it is the file that is tested
    assert len(list(root.iter("testcase"))) == len(json.loads(said.text("verdict.json"))["checks"])
    xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd"))).validate(str(said.place / "junit.xml"))


def metrics(said: Said) -> None:
    families = {family.name for family in text_string_to_metric_families(said.text("metrics.prom"))}
    assert "runner_preflight_check_held" in families


def outputs(said: Said) -> None:
    assert [line.partition("=")[0] for line in said.text("output").splitlines()] == ["verdict", "runner", "runs-on"]
    assert "verdict=hold" in said.text("output")


def machines(said: Said) -> None:
    verdict = json.loads(said.text("verdict.json"))
    assert verdict["verdict"] == "hold"
    (history,) = (said.place / "history").glob("*.jsonl")
    assert len(history.read_text("utf-8").splitlines()) == 1


SINKS: tuple[Callable[[Said], None], ...] = (terminal, page, summary, junit, metrics, outputs, machines)


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.__name__)
def test_no_payload_does_harm(sink: Callable[[Said], None], said: Said) -> None:
    sink(said)


def test_the_payload_was_really_said(said: Said) -> None:
    """The stranger's name reaches a card; else the test above would prove nothing."""
    (card,) = [
        c for c in json.loads(said.text("verdict.json"))["checks"] if c["check"] == "failover/strangers-excluded"
    ]
    assert card["outcome"] == "broken"
    # Its lines may be set in, as those of any finding are.
    assert said.payload[:1000].split()[0] in card["saw"]
