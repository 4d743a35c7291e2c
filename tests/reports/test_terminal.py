"""What stands in the terminal: one line, all lines, wide and narrow, on a screen, in a pipe and in a log of Actions."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.reports.pages import NIGHT, ROOT, gate, verdict

LINE = "RECORDING, no clearance: √ deploy on prod-runner-02"
CLEAN = {
    k: v
    for k, v in os.environ.items()
    if not k.startswith(("PYTEST_", "GITHUB_", "PREFLIGHT_", "NO_COLOR", "FORCE_COLOR"))
}


def piped(place: Path, *arguments: str, **environ: str) -> str:
    command = [sys.executable, "-m", "pytest", f"--reports={place}", f"--seen={NIGHT}", "--profile=nightly", *arguments]
    ran = subprocess.run(
        command, cwd=ROOT, env=CLEAN | environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return ran.stdout


def on_screen(place: Path, columns: int) -> str:
    """What a terminal of that width is sent."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "pytest", f"--reports={place}", f"--seen={NIGHT}", "--profile=nightly"]
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        env=CLEAN | {"COLUMNS": str(columns), "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    said, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            try:
                said += os.read(master, 65536)
            except OSError:  # what Linux says when the other side is closed
                break
        elif run.poll() is not None:
            break
    os.close(master)
    assert run.wait(10) == 1
    return said.decode()


def test_quiet_is_one_line(tmp_path: Path) -> None:
    (row,) = gate(tmp_path, f"--seen={NIGHT}", "--profile=nightly", "-q").stdout.splitlines()
    assert row == verdict(tmp_path)["line"]
    assert row.startswith(LINE)


def test_guarantees_then_cards_then_the_verdict(tmp_path: Path) -> None:
    rows = piped(tmp_path).splitlines()
    assert rows[-1].startswith(LINE)
    assert "\x1b" not in "".join(rows), "no colour in a pipe"
    guarantees = [n for n, row in enumerate(rows) if re.match(r"[√×?] [a-z-]+ +\d+ of \d+ ", row)]
    cards = [n for n, row in enumerate(rows) if re.match(r"[×?!~] \S+/\S+, ", row)]
    assert len(guarantees) == len({c["guarantee"] for c in verdict(tmp_path)["checks"]})
    assert max(guarantees) < min(cards)
    severities = [rows[n].split(", ")[2] for n in cards]
    assert severities == sorted(severities), "what blocks comes first"


def test_verbose_says_every_check_and_what_it_saw(tmp_path: Path) -> None:
    rows = piped(tmp_path, "-v").splitlines()
    for check in verdict(tmp_path)["checks"]:
        name = check["check"] + (f"[{check['runner']}]" if check["runner"] else "")
        assert any(re.match(rf"  [√×?~-] {re.escape(name)} {check['outcome']}(: .+)?$", row) for row in rows), name


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_screen_is_not_overrun(tmp_path: Path, columns: int) -> None:
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", on_screen(tmp_path, columns))
    rows = [
        row
        for row in plain.replace("\r", "").splitlines()
        if not re.match(" +(try|why) |RECORDING|Runner Preflight", row)
    ]
    assert rows
    # A card's title is a name, which is found whole.
    assert [row for row in rows if len(row) > columns and not re.match("[×?] ", row)] == []


def test_colour_is_for_screens_that_want_it(tmp_path: Path) -> None:
    assert "\x1b[31m" in on_screen(tmp_path, 80)
    assert "\x1b" not in piped(tmp_path, NO_COLOR="1")


def test_what_is_to_be_typed_is_never_wrapped(tmp_path: Path) -> None:
    tried = {
        row.split("try", 1)[1].strip() for row in piped(tmp_path, COLUMNS="40").splitlines() if re.match(" +try ", row)
    }
    assert tried
    assert tried <= {" ".join(c["try"].split()) for c in verdict(tmp_path)["checks"]}


def test_in_actions_every_check_is_folded_and_hosts_command_nothing(tmp_path: Path) -> None:
    rows = piped(tmp_path, "-v", GITHUB_ACTIONS="true").splitlines()
    assert re.fullmatch("::stop-commands::[0-9a-f]{32}", rows[0])
    assert rows.index("::group::Every check") < rows.index("::endgroup::")
    assert rows[-1] == f"::{rows[0].removeprefix('::stop-commands::')}::"
    assert rows[-2].startswith(LINE)
