"""Hosts of other kinds: what they print is read, what they cannot tell is unknown, and two runners of one host are two."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.facts.hostfacts import HOST_FACTS
from fixtures.facts.hosts import Hosts, Tool
from fixtures.facts.seen import NotApplicable, Output, Unseen
from fixtures.facts.serviceenv import ServiceEnv
from fixtures.facts.tools import Tools
from fixtures.facts.unit import Unit
from tests.facts.distributions import SAMPLES, Sample
from tests.shells import commands, run
from tests.worlds import runner, world


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.where}: {s.fact}")
def test_what_other_hosts_print(sample: Sample) -> None:
    parse = HOST_FACTS[sample.fact].parse
    out = Output("done", sample.code, sample.out)
    if sample.says:
        assert sample.says in repr(parse(out, sample.runner))
    else:
        with pytest.raises(Unseen, match=sample.unseen):
            parse(out, sample.runner)


def test_all_four_kinds_are_there() -> None:
    assert {sample.where.split(",")[0] for sample in SAMPLES} == {"rhel", "ubuntu", "alpine", "container"}


@pytest.mark.parametrize("fact", HOST_FACTS)
def test_every_section_ends_on_every_shell(fact: str, sh: list[str], tmp_path: Path) -> None:
    """A fact or Unseen on this very machine, as it is: without a runner, perhaps without systemd."""
    (tmp_path / "_work").mkdir()
    of = replace(runner(supervisor="process", user="nobody"), directory=str(tmp_path))
    try:
        told = repr(HOST_FACTS[fact].parse(run(sh, fact, of), of))
    except (Unseen, NotApplicable) as why:
        told = str(why)
    assert told


def test_a_runner_without_systemd_has_no_unit(sh: list[str], tmp_path: Path) -> None:
    of = replace(runner(supervisor="process"), directory=str(tmp_path))
    with pytest.raises(NotApplicable, match="runs as a plain process, without a service"):
        Unit.parse(run(sh, "unit", of), of)


class TestTwoRunnersOfOneHost:
    """Their directories begin alike; each has its own settings, PATH and process."""

    @pytest.fixture
    def both(self, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
        homes = (tmp_path / "actions-runner", tmp_path / "actions-runner-b")
        running = []
        for n, home in enumerate(homes):
            (home / "bin").mkdir(parents=True)
            (home / "bin" / "Runner.Listener").symlink_to(shutil.which("bash") or "bash")
            (home / "run").write_text("read -r _\n")
            (home / ".env").write_text(f"MINE_{n}=1\nPATH={commands(home / 'tools', which=f'echo {n}.0')}\n")
            running.append(subprocess.Popen([f"{home}/bin/Runner.Listener", "run"], cwd=home, stdin=subprocess.PIPE))
        time.sleep(0.1)
        yield homes
        for process in running:
            process.kill()
            process.wait()

    def test_each_is_looked_at_by_itself(self, sh: list[str], both: tuple[Path, Path]) -> None:
        context = world(hosts=Hosts(tools=(Tool("which"),)))
        for n, home in enumerate(both):
            of = replace(runner(f"prod-{n + 1}", supervisor="process", user="root"), directory=str(home))
            env = ServiceEnv.parse(run(sh, "service_env", of), of)
            assert [name for name in env.names if name.startswith("MINE")] == [f"MINE_{n}"]
            assert Tools.parse(run(sh, "tools", of, context), of).found[0].version == f"{n}.0"
