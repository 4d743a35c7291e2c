"""The gate against real hosts over real SSH, and a stand-in for GitHub over real HTTP."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from tests.whole.conftest import ROOT, Checkout, Ran

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
SCHEMA = json.loads((ROOT / "reports" / "verdict.schema.json").read_text())


def outcomes(verdict: dict[str, object]) -> dict[str, str]:
    checks = verdict["checks"]
    assert isinstance(checks, list)
    return {f"{c['check']}[{c['runner']}]": c["outcome"] for c in checks}


@pytest.fixture
def healed(lab: Checkout) -> Iterator[Checkout]:
    yield lab
    lab.lab("heal")


def test_a_healthy_lab_is_cleared_for_the_primary(lab: Checkout) -> None:
    ran = lab.gate(code=0)
    assert ran.line == "√ deploy on prod-runner-01"
    jsonschema.validate(ran.verdict, SCHEMA)
    assert ran.verdict["runner"] == "prod-runner-01" and ran.verdict["runs-on"] == ["self-hosted", "prod-runner-01"]
    assert "broken" not in outcomes(ran.verdict).values()


def test_two_workers_see_what_one_process_sees(lab: Checkout) -> None:
    alone, two = lab.gate(code=0), lab.gate("-n", "2", code=0)
    assert outcomes(alone.verdict) == outcomes(two.verdict)
    requests = [re.search(r"GitHub: (\d+) requests", ran.out) for ran in (alone, two)]
    assert requests[0] and requests[1] and requests[0][1] == requests[1][1], "xdist must look once"


def test_a_replay_says_what_the_look_said(lab: Checkout) -> None:
    live = lab.gate("--reports", "reports/latest/live", code=0)
    again = lab.gate("--seen", "reports/latest/live/seen", code=1)
    live_verdict = json.loads((lab.root / "reports/latest/live/verdict.json").read_text())
    assert live.line == "√ deploy on prod-runner-01"
    assert again.line == "RECORDING, no clearance: √ deploy on prod-runner-01"
    assert outcomes(live_verdict) == outcomes(again.verdict) and again.verdict["verdict"] == "replay"


def test_a_part_run_is_no_clearance(lab: Checkout) -> None:
    ran = lab.gate("-k", "pace/", profile="", code=0)
    assert re.fullmatch(r"\d+ of \d+ checks held; this is no clearance", ran.line)
    assert "2 hosts" not in ran.out, "pace asks GitHub alone"


FAULTS = {
    "sshd-stopped": (0, "√ deploy on prod-runner-02 (failover: prod-runner-01 fails runner-health/reachable)"),
    "host-key-changed": (0, "√ deploy on prod-runner-02 (failover: prod-runner-01 fails runner-health/reachable)"),
    "all-hosts-silent": (1, "? do not deploy: could not see any host of lab; it may be our own network"),
    "stranger-registered": (1, "× do not deploy: failover/strangers-excluded, failover/choice-binds"),
    "token-revoked": (1, "? do not deploy: could not see"),
    "permission-administration-lost": (
        1,
        "? do not deploy: could not see failover/strangers-excluded, failover/choice-binds",
    ),
    "api-down": (1, "? do not deploy: could not see"),
    "api-hiccup": (0, "√ deploy on prod-runner-01"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_unplugged_is_named(healed: Checkout, fault: str) -> None:
    code, says = FAULTS[fault]
    healed.lab("break", fault)
    ran = healed.gate(code=code)
    assert ran.line.startswith(says)
    jsonschema.validate(ran.verdict, SCHEMA)


def test_a_github_that_never_answers_ends_inside_the_deadline(healed: Checkout) -> None:
    context = (healed.root / ".lab/context.yml").read_text()
    (healed.root / ".lab/hasty.yml").write_text(context.replace("limits:\n", "limits:\n  deadline: 6s\n"))
    healed.lab("break", "api-stalls")
    ran = healed.gate(context=".lab/hasty.yml", code=1, seconds=20)
    assert ran.line.startswith("? do not deploy: could not see")
    assert "waiting for GitHub" in ran.out, "it says what it waits for"


def test_a_token_without_rights_is_told_which(healed: Checkout) -> None:
    healed.lab("break", "permission-secrets-lost")
    ran = healed.gate(code=1)
    assert "secrets" in ran.out and "token lacks" in ran.out


def test_what_was_planted_is_nowhere_in_the_reports(lab: Checkout) -> None:
    lab.gate(code=0)
    key = next(
        path
        for path in (lab.root / ".lab").rglob("*")
        if path.is_file() and "PRIVATE KEY" in path.read_text(errors="replace")
    )
    planted = [lab.token, *key.read_text().splitlines()[1:-1]]
    for directory, _, names in os.walk(lab.root / "reports"):
        for name in names:
            text = Path(directory, name).read_text(errors="replace")
            assert not [secret for secret in planted if secret in text], f"{name} holds a secret"


def test_the_junit_file_names_the_checks(lab: Checkout) -> None:
    """It is always written, and where else it is asked for."""
    lab.gate("--junitxml", "junit.xml", code=0)
    assert 'classname="runner-health" name="reachable[prod-runner-02]"' in (lab.root / "junit.xml").read_text()
    lab.gate(code=0)
    assert 'classname="failover" name="strangers-excluded"' in (lab.root / "reports/latest/junit.xml").read_text()


def cards(ran: Ran) -> str:
    """From the first card to the verdict."""
    return ran.out[ran.out.index("\n× ", ran.out.index("serialization")) :].rpartition("\n")[0].rpartition("\n")[0]


def test_a_replay_elsewhere_says_the_same_cards_and_is_no_clearance(healed: Checkout, tmp_path: Path) -> None:
    """On another machine, without network: a copy of what was seen is all that is needed."""
    shutil.rmtree(healed.root / "reports" / "history", ignore_errors=True)  # what the faults of other tests left
    healed.gate(profile="nightly", code=0)
    healed.lab("break", "disk-full-work")
    healed.lab("break", "lock-renamed")
    live = healed.gate(profile="nightly", code=1)
    assert "disk-room[prod-runner-01], broken, blocks, new" in live.out
    shutil.copytree(healed.root / "reports/latest/seen", tmp_path / "seen")
    again = healed.run(
        [
            "unshare",
            "--net",
            sys.executable,
            "-m",
            "pytest",
            "--profile=nightly",
            f"--seen={tmp_path / 'seen'}",
            f"--reports={tmp_path / 'out'}",
        ]
        if os.geteuid() == 0
        else [
            sys.executable,
            "-m",
            "pytest",
            "--profile=nightly",
            f"--seen={tmp_path / 'seen'}",
            f"--reports={tmp_path / 'out'}",
        ],
        code=1,
    )
    assert cards(again).replace(str(tmp_path), "") == cards(live)
    verdict = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert (verdict["verdict"], verdict["runner"], verdict["runs-on"]) == ("replay", "", [])
    assert outcomes(verdict) == outcomes(live.verdict)
    assert not (tmp_path / "out" / "metrics.prom").exists()


def test_a_run_is_packed_for_an_incident_unless_it_holds_a_secret(lab: Checkout) -> None:
    lab.gate(code=0)
    bundle = [sys.executable, "-m", "reports.bundle"]
    archive = Path(lab.run(bundle).out.partition(":")[0])
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {
        "report.html",
        "verdict.json",
        "summary.md",
        "metrics.prom",
        "junit.xml",
        "seen/meta.json",
        "seen/github.json",
    } <= names
    assert lab.run(bundle).out
    archive.unlink()
    with (lab.root / "reports/latest/summary.md").open("a", encoding="utf-8") as file:
        file.write(f"\nthe token is {lab.token}\n")
    refused = lab.run(bundle, code=1).out
    assert "summary.md:" in refused and lab.token not in refused
    assert not archive.exists()


def test_two_runs_at_once_write_to_two_places(lab: Checkout) -> None:
    held = (lab.root / "reports/latest/.lock").open("a")
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = lab.gate(code=0)
    assert "another run is at reports/latest" in ran.out
    (beside,) = (lab.root / "reports").glob("latest-*/verdict.json")
    assert json.loads(beside.read_text())["verdict"] == "deploy"
    shutil.rmtree(beside.parent)
