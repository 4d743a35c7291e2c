"""What lies about on a host in clear: the rules, on the host itself, and what leaves it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.facts.residue import RULES, Residue
from fixtures.facts.seen import Unseen
from tests.facts.own import ME, at
from tests.shells import run
from tests.worlds import output, runner, world

TOKEN = "ghp_" + "a1B2" * 9


def residue(sh: list[str], home: Path) -> Residue:
    of = at(home)
    return Residue.parse(run(sh, "residue", of), of)


def of_rule(found: Residue, home: Path) -> set[str]:
    return {f"{hit.rule} {hit.place} {hit.line}" for hit in found.hits if "history" not in hit.place}


PLANTED = {
    "github-token": TOKEN,
    "github-pat": "github_pat_" + "A" * 30,
    "aws-key": "AKIA" + "ABCD1234" * 2,
    "private-key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "slack-token": "xoxb-1234567890-abc",
    "url-password": "https://user:hunter22@example.com/",
    "authorization": "AUTHORIZATION: basic eDpnaHBfeHh4eHh4",
}


def test_every_rule_has_its_sample() -> None:
    assert PLANTED.keys() == RULES.keys()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("place", "lines"),
    [
        ("_diag/Worker_20261125-000000-utc.log", 4),
        ("_work/_temp/step.sh", 1),
        ("_work/widgets/widgets/.git/config", 3),
        (".env", 2),
    ],
)
def test_a_planted_secret_is_found_and_stays_there(
    sh: list[str], home: Path, rule: str, place: str, lines: int
) -> None:
    path = home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("A=1\n" * (lines - 1) + f"X={PLANTED[rule]}\n")
    of = at(home)
    out = run(sh, "residue", of)
    assert f"{rule} {place} {lines}" in of_rule(Residue.parse(out, of), home)
    assert PLANTED[rule] not in out.out + out.err


def test_a_clean_host_keeps_nothing(sh: list[str], home: Path) -> None:
    (home / ".env").write_text("LANG=C\nDEPLOY_TOKEN=***\n")
    (home / "_diag" / "Runner_1.log").write_text("[2026] INFO Authorization: *** token ***\nhttps://***:***@x/\n")
    found = residue(sh, home)
    assert of_rule(found, home) == set()
    assert found.blind == ()


def test_what_is_called_a_secret_is_one(sh: list[str], home: Path) -> None:
    (home / ".env").write_text("LANG=C\nDEPLOY_PASSWORD=hunter22\nTOKEN_COUNT=3\n")
    assert of_rule(residue(sh, home), home) == {"named-secret .env 2"}


def test_a_file_name_that_is_hostile(sh: list[str], home: Path, tmp_path: Path) -> None:
    name = f"$(touch {tmp_path.name}) `id` -rf.sh".replace("/", "_")
    (home / "_work" / "_temp" / name).write_text(f"curl -H x:{TOKEN}\n")
    (hit,) = [h for h in residue(sh, home).hits if h.rule == "github-token"]
    assert hit.place.endswith(".sh")


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_said(home: Path) -> None:
    (home / "_diag" / "Runner_1.log").write_text("x")
    (home / "_diag" / "Runner_1.log").chmod(0)
    assert residue(["sh"], home).blind == ("_diag/Runner_1.log",)


@pytest.mark.parametrize("argument", ["--jitconfig ZXhhbXBsZQ==", f"--token={TOKEN}"])
def test_a_secret_in_the_arguments_of_the_runner(sh: list[str], home: Path, argument: str) -> None:
    """Its name is said, and what it was given is not; another's arguments are not looked at."""
    script = "import time; time.sleep(60)"
    started = [
        subprocess.Popen([sys.executable, "-c", script, f"{place}/bin/Runner.Listener", "run", *argument.split()])
        for place in (home, home.parent / "elsewhere")
    ]
    try:
        out = run(sh, "residue", at(home))
        hits = [h for h in Residue.parse(out, at(home)).hits if h.rule in ("runner-argument", "github-token")]
        assert {h.place for h in hits} == {
            f"the arguments of {Path(f'/proc/{started[0].pid}/comm').read_text().strip()}"
        }
        assert [h.rule for h in hits].count("runner-argument") == 1
        assert argument.split()[-1] not in out.out + out.err
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_key_that_everybody_may_read(sh: list[str], tmp_path: Path, home: Path) -> None:
    """The home is what /etc/passwd says, so the section is asked about one of its own."""
    place = tmp_path / "home"
    (place / ".ssh").mkdir(parents=True)
    for path in (place, place / ".ssh"):
        path.chmod(0o755)
    for name, mode in (("id_ed25519", 0o644), ("id_rsa", 0o600), ("id_rsa.pub", 0o644)):
        (place / ".ssh" / name).write_text("x")
        (place / ".ssh" / name).chmod(mode)
    (place / ".netrc").write_text("x")
    (place / ".netrc").chmod(0o604)
    of = at(home)
    section = Residue.shell(of, world()).replace("/etc/passwd", str(tmp_path / "passwd"))
    (tmp_path / "passwd").write_text(f"{ME}:x:0:0::{place}:/bin/sh\n")

    def readable() -> set[str]:
        done = subprocess.run([*sh, "-c", section], capture_output=True, text=True, timeout=30, check=False)
        found = Residue.parse(output(done.stdout), of).hits
        return {str(Path(h.place).relative_to(place)) for h in found if h.rule == "world-readable"}

    assert readable() == {".ssh/id_ed25519", ".netrc"}
    (place / ".ssh").chmod(0o700)
    assert readable() == {".netrc"}
    place.chmod(0o700)
    assert readable() == set()


@pytest.mark.parametrize("text", ["", "hit x\nend\n", "hit github-token many .env\nend\n", "hit github-token 1 .env\n"])
def test_half_a_residue_is_unknown(text: str) -> None:
    with pytest.raises(Unseen):
        Residue.parse(output(text), runner())
