"""ShellCheck reads the probe and every section that a host is sent, as POSIX sh, down to its notes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures import probe
from fixtures.facts.context import DryRun, HostLock, Releases, Ssh, Target
from fixtures.facts.hostfacts import HOST_FACTS
from fixtures.facts.hosts import Hosts, Tool
from fixtures.facts.target import TARGET_FACTS
from tests.worlds import runner, world

SHELLCHECK = Path(sys.executable).with_name("shellcheck")
# What it is told to leave alone everywhere; every other exception stands beside its line, with its reason.
EXCLUDED = {
    "SC2012": "`ls` is read for names that are numbers, or whose odd letters are judged where they are read",
    "SC2013": "words of /proc/PID paths: they hold no blanks",
    "SC2016": "what stands in single quotes is another program's to expand",
    "SC2329": "the probe is one function, called in its last line",
}

BASE = world()
FULL = replace(
    BASE,
    hosts=Hosts(runtime="docker", tools=(Tool("git", "2.18"), Tool("kubectl", ask="version --client"))),
    ssh=Ssh(sudo=True),
    targets=(Target("shop", url="https://shop.example.com/x?a=1&b=2"), Target("db", tcp="db:5432")),
    rollback=replace(
        BASE.rollback,
        releases=Releases("app", "/srv/a b/releases", "/srv/current", ".complete"),
        dry_run=DryRun("x --y 'z'"),
    ),
    deploy=replace(BASE.deploy, host_lock=HostLock("app", "/srv/a b/lock")),
)
SPARE = replace(BASE, targets=())
TEXTS = {
    "probe": probe.script([probe.Section("a", "echo 'a'"), probe.Section("b", "echo b")], 10, "ab" * 16),
    **{f"{name}, all declared": fact.shell(runner(), FULL) for name, fact in HOST_FACTS.items()},
    **{
        f"{name}, nothing declared": fact.shell(runner(supervisor="process"), SPARE)
        for name, fact in HOST_FACTS.items()
    },
    **{f"{name} of the target": fact.shell(FULL) for name, fact in TARGET_FACTS.items()},
}


@pytest.mark.parametrize("name", TEXTS)
def test_shellcheck_has_nothing_to_say(name: str) -> None:
    done = subprocess.run(
        [SHELLCHECK, "--shell=sh", "--format=gcc", f"--exclude={','.join(EXCLUDED)}", "-"],
        input=TEXTS[name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
