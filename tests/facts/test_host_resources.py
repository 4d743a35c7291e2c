"""Memory, upkeep, machines: what a host says of itself, whole, half and not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fixtures.facts.context import Runner
from fixtures.facts.limits import Size
from fixtures.facts.machine import Machine, shared
from fixtures.facts.memory import Memory
from fixtures.facts.seen import Unseen
from fixtures.facts.upkeep import Upkeep
from tests.shells import SHELLS, commands, run
from tests.worlds import output, runner, world

DAY = timedelta(hours=24)
GIB = 1024**3
MEMORY = """\
total 16384000
available 8192000
load 1.50
cpus 4
cgroup v2
counted 0
limit max 500000000
age 90000
journal 0
kernel 0
"""


def memory(old: str = "", new: str = "", of: Runner | None = None) -> Memory:
    assert old in MEMORY
    return Memory.parse(output(MEMORY.replace(old, new) if old else MEMORY), of or runner())


def test_a_host_with_room() -> None:
    told = memory()
    assert (told.available, told.percent, told.load_per_cpu) == (8192000 * 1024, 50, 0.375)
    assert told.killed(DAY) == 0
    assert repr(told) == (
        "7.812 GiB of 15.62 GiB are available (50 %), none of its processes was killed for want of memory; load 1.5 on 4 processors"
    )


def test_a_limit_of_the_unit_is_all_that_a_job_gets() -> None:
    told = memory("limit max 500000000", f"limit {2 * GIB} {GIB}")
    assert (told.available, told.total, told.percent) == (Size(GIB), Size(2 * GIB), 50)
    over = memory("limit max 500000000", f"limit {GIB} {2 * GIB}")
    assert over.available == 0


@pytest.mark.parametrize(
    "none", ["limit 9223372036854771712 5", "limit max 5", "limit ", "", "limit -1 5", "limit max max"]
)
def test_a_limit_that_is_none_changes_nothing(none: str) -> None:
    assert memory("limit max 500000000", none).available == 8192000 * 1024


@pytest.mark.parametrize(
    ("old", "new", "killed"),
    [
        ("journal 0", "journal 2", 2),
        ("kernel 0", "kernel 1", 1),
        # v2 logs each kill: what the journal does not have is older than it was asked for.
        ("counted 0", "counted 3", 0),
        ("counted 0\nlimit max 500000000\nage 90000", "counted 3\nlimit max 500000000\nage 3600", 3),
        ("v2\ncounted 0\nlimit max 500000000\nage 90000", "v1\ncounted 3\nlimit max 500000000\nage 3600", 3),
    ],
)
def test_what_was_killed_within_a_day(old: str, new: str, killed: int) -> None:
    assert memory(old, new).killed(DAY) == killed


def test_when_cgroup_v1_killed_is_not_told() -> None:
    with pytest.raises(Unseen, match="counts and keeps no time"):
        memory("v2\ncounted 0", "v1\ncounted 3").killed(DAY)


@pytest.mark.parametrize(
    "line", ["total 16384000", "available 8192000", "load 1.50", "cpus 4", "journal 0", "kernel 0", "age 90000"]
)
@pytest.mark.parametrize("instead", ["", "{0} many", "{0} -1", "{0} 99999999999999999999"])
def test_each_number_must_be_told(line: str, instead: str) -> None:
    with pytest.raises(Unseen):
        memory(line + "\n", instead.format(line.split(" ")[0]) + "\n")


def test_a_hidden_journal_is_unknown() -> None:
    with pytest.raises(Unseen, match="its journal is hidden") as why:
        memory("journal 0", "journal blind")
    assert "systemd-journal" in why.value.try_


def test_of_a_plain_process_memory_is_judged_and_kills_are_not() -> None:
    bare = "".join(line + "\n" for line in MEMORY.splitlines()[:4])
    assert Memory.parse(output(bare), runner(supervisor="process")).killed(DAY) == 0
    with pytest.raises(Unseen):
        Memory.parse(output(bare), runner())
    with pytest.raises(Unseen, match="cannot be entered"):
        Memory.parse(output("", 90), runner())


@pytest.mark.parametrize("sh", SHELLS)
def test_memory_of_this_machine(sh: list[str], tmp_path: Any) -> None:
    of = runner(directory=str(tmp_path), supervisor="process")
    told = Memory.parse(run(sh, "memory", of), of)
    assert 0 < told.available <= told.total
    assert told.cpus >= 1


@pytest.mark.parametrize("sh", SHELLS)
def test_kills_are_read_from_the_journals(sh: list[str], tmp_path: Any) -> None:
    (tmp_path / "runner").mkdir()
    (tmp_path / "runner" / ".service").write_text("r.service\n")
    journal = """case $* in *' _PID=1 UNIT=r.service + _TRANSPORT=kernel') ;; *) exit 1 ;; esac
echo 'oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/system.slice/r.service,task=cc1plus,pid=7,uid=1001'
for n in 1 2 3; do echo "oom-kill:constraint=CONSTRAINT_NONE,task_memcg=/system.slice/other$n.service,task=x"; done
echo 'r.service: A process of this unit has been killed by the OOM killer.'
echo "r.service: Failed with result 'oom-kill'."
"""
    usual = ("sh", "awk", "sed", "tr", "cat", "nproc", "grep", "dirname")
    path = commands(
        tmp_path / "bin", *usual, systemctl="echo ActiveEnterTimestampMonotonic=1000000", journalctl=journal
    )
    of = runner(directory=str(tmp_path / "runner"))
    told = Memory.parse(run(sh, "memory", of, path=path), of)
    assert told.logged == 2
    assert told.killed(DAY) == 2


@pytest.mark.parametrize(
    "said",
    [
        "Hint: You are currently not seeing messages from other users and the system.",
        "No journal files were opened due to insufficient permissions.",
    ],
)
def test_a_journal_that_nobody_may_read_is_not_one_without_kills(sh: list[str], tmp_path: Any, said: str) -> None:
    (tmp_path / "runner").mkdir()
    (tmp_path / "runner" / ".service").write_text("r.service\n")
    usual = ("sh", "awk", "sed", "tr", "cat", "nproc", "grep")
    shown = "echo ActiveEnterTimestampMonotonic=1000000"
    path = commands(tmp_path / "bin", *usual, systemctl=shown, journalctl=f"echo '{said}' >&2")
    of = runner(directory=str(tmp_path / "runner"))
    with pytest.raises(Unseen, match="its journal is hidden"):
        Memory.parse(run(sh, "memory", of, path=path), of)


UPKEEP = "uptime 864000\nunits\n"


def test_a_host_that_waits_for_nothing() -> None:
    assert repr(Upkeep.parse(output(UPKEEP), runner())) == "no reboot is due; no unit failed; up for 10 days"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("pending /run/reboot-required is there\n", "a reboot is due (/run/reboot-required is there)"),
        ("pending kernel 6.2 is installed, 6.1 runs\n", "6.1 runs"),
        ("failed nginx.service\nfailed a.mount\n", "failed: nginx.service, a.mount"),
    ],
)
def test_what_is_due(lines: str, told: str) -> None:
    upkeep = Upkeep.parse(output(f"uptime 5\n{lines}units\n"), runner())
    assert told in repr(upkeep)
    assert upkeep.pending or upkeep.failed


@pytest.mark.parametrize(
    "text", ["", "units\n", "uptime x\nunits\n", "uptime 5\n", "uptime 5\nunits\nmore\n", f"uptime {'9' * 18}\nunits\n"]
)
def test_half_an_upkeep_is_unknown(text: str) -> None:
    with pytest.raises(Unseen):
        Upkeep.parse(output(text), runner())


def test_failed_units_need_systemd() -> None:
    assert not Upkeep.parse(output("uptime 5\nunits none\n"), runner(supervisor="process")).failed
    with pytest.raises(Unseen, match="systemd does not run there"):
        Upkeep.parse(output("uptime 5\nunits none\n"), runner())


@pytest.mark.parametrize("sh", SHELLS)
def test_upkeep_of_this_machine(sh: list[str]) -> None:
    of = runner(supervisor="process")
    assert Upkeep.parse(run(sh, "upkeep", of), of).uptime > timedelta()


def machine(name: str = "prod-1", **changes: Any) -> Machine:
    mine = {"prod-1": "1", "prod-2": "2"}[name]
    made = Machine(
        name, mine * 32, f"{mine * 8}-0000-0000-0000-{mine * 12}", frozenset({f"AAAA{mine}"}), f"10.0.0.{mine}"
    )
    return replace(made, **changes)


def test_two_machines_are_independent() -> None:
    assert shared([machine(), machine("prod-2")]) == []


@pytest.mark.parametrize(
    ("same", "says"),
    [
        ({"machine_id": "1" * 32}, "share machine-id 1"),
        ({"boot": machine().boot}, "share the running kernel"),
        ({"keys": frozenset({"AAAA1", "AAAA9"})}, "share an SSH host key"),
        ({"address": "10.0.0.1"}, "share the address 10.0.0.1"),
    ],
)
def test_what_only_one_machine_has(same: Any, says: str) -> None:
    (told,) = shared([machine(), machine("prod-2", **same)])
    assert says in told


def test_no_address_is_shared_by_nobody() -> None:
    assert shared([machine(address=""), machine("prod-2", address="")]) == []


@pytest.mark.parametrize("line", ["machine", "boot", "address"])
def test_half_a_machine_is_unknown(line: str) -> None:
    whole = f"machine {'a' * 32}\nboot 11111111-1111-1111-1111-111111111111\nkeys AAAAC3NzaC1lZDI1NTE5AAAA\naddress 10.0.0.1\n"
    assert Machine.parse(output(whole), runner()).address == "10.0.0.1"
    with pytest.raises(Unseen):
        Machine.parse(
            output("".join(f"{each}\n" for each in whole.splitlines() if not each.startswith(line))), runner()
        )


@pytest.mark.parametrize("sh", SHELLS)
def test_this_machine(sh: list[str], tmp_path: Any) -> None:
    told = Machine.parse(run(sh, "machine", runner(), world(), SSH_CONNECTION="192.0.2.9 1 192.0.2.1 22"), runner())
    assert told.address == "192.0.2.1"
