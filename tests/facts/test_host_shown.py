"""What systemctl shows of the unit: asked once for all, and by nobody taken for a unit without variables."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fixtures.facts.hostfacts import HOST_FACTS
from fixtures.facts.hostshell import PROPERTIES, first
from fixtures.facts.seen import Output, Unseen
from fixtures.facts.unit import Unit
from fixtures.probe import FIRST
from tests.shells import commands, environment, run
from tests.worlds import runner, world

READERS = [name for name, fact in HOST_FACTS.items() if FIRST in fact.shell(runner(), world())]
UNIT = "actions.runner.acme-widgets.prod-1.service"
TOLD = "\n".join(f"{name}={name}" for name in PROPERTIES)
USUAL = (
    "sh",
    "awk",
    "sed",
    "tr",
    "cat",
    "stat",
    "grep",
    "id",
    "nproc",
    "readlink",
    "sha256sum",
    "head",
    "sort",
    "curl",
    "sleep",
    "ls",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "a runner"
    path.mkdir()
    (path / ".service").write_text(f"{UNIT}\n")
    return path


def test_half_of_the_quick_facts_read_it() -> None:
    assert READERS == ["unit", "connections", "memory", "service_env", "egress"]


@pytest.mark.parametrize("name", READERS)
def test_a_unit_that_is_not_shown_is_unknown(name: str, sh: list[str], home: Path, tmp_path: Path) -> None:
    of = runner(directory=str(home))
    path = commands(tmp_path / "bin", *USUAL, systemctl="echo 'Failed to connect to bus' >&2; exit 1", journalctl=":")
    with pytest.raises(Unseen, match="systemctl"):
        HOST_FACTS[name].parse(run(sh, name, of, path=path), of)


@pytest.mark.parametrize("name", READERS)
def test_what_was_told_before_is_not_asked_again(name: str, sh: list[str], home: Path, tmp_path: Path) -> None:
    of = runner(directory=str(home))
    path = commands(tmp_path / "bin", *USUAL, systemctl=f"touch {tmp_path}/asked", journalctl=":", curl=":")
    said = run(sh, name, of, path=path, PREFLIGHT_FIRST=TOLD)
    assert said.code == 0, said
    assert not (tmp_path / "asked").exists()


def asked_first(sh: list[str], home: Path, path: str) -> tuple[int, str]:
    done = subprocess.run(
        [*sh, "-c", first(runner(directory=str(home)))],
        env=environment(sh, path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_the_first_question_names_every_property(sh: list[str], home: Path, tmp_path: Path) -> None:
    path = commands(tmp_path / "bin", *USUAL, sh[0], systemctl='echo "$*"')
    assert asked_first(sh, home, path) == (0, f"show -p {','.join(PROPERTIES)} -- {UNIT}\n")
    (home / ".service").write_text("-H elsewhere\n")
    assert asked_first(sh, home, path)[0] != 0
    (home / ".service").unlink()
    assert asked_first(sh, home, path)[0] != 0


def test_a_unit_tells_its_own_properties_alone(sh: list[str], home: Path, tmp_path: Path) -> None:
    of = runner(directory=str(home))
    told = "ActiveState=active\nEnvironment=TOKEN=s3cret\nWorkingDirectory=/\nLoadState=loaded"
    said = run(
        sh, "unit", of, path=commands(tmp_path / "bin", *USUAL, systemctl=":", journalctl=":"), PREFLIGHT_FIRST=told
    )
    assert "s3cret" not in said.out
    assert "ActiveState=active\nSubState=\n" in said.out
    assert Unit.parse(said, of).name == UNIT


def test_a_unit_of_which_nothing_is_told_is_unknown() -> None:
    with pytest.raises(Unseen, match="said something else than a unit"):
        Unit.parse(Output("done", 0, f"unit {UNIT}\nActiveState=\nrelaunches 0\n", ""), runner())
