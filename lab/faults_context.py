"""Faults of what people declared: the context itself ages."""

import datetime

from lab import world
from lab.context import context_text
from lab.fault import BOTH, NSPAWN, Fault
from lab.world import Lab


def end_approval(lab: Lab) -> None:
    """The standby's approval ended yesterday; the primary's holds."""
    ended = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=1)
    before, name, after = lab.context_file.read_text("utf-8").partition(f"  - name: {lab.hosts[1].name}\n")
    until = next(line for line in after.splitlines() if "until: " in line)
    world.write(
        lab.context_file, before + name + after.replace(until, until.split("until: ")[0] + f"until: {ended}}}", 1)
    )


def write_again(lab: Lab) -> None:
    world.write(lab.context_file, context_text(lab))


def want_docker(lab: Lab) -> None:
    """The context was given docker before the hosts were."""
    before, hosts, after = lab.context_file.read_text("utf-8").partition("\nhosts:\n")
    world.write(lab.context_file, f"{before}{hosts}  runtime: docker\n{after}")


FAULTS = (
    Fault(
        "runtime-absent",
        "Jobs are to run in docker from today, and no host has it.",
        breaks=frozenset(f"runner-health/container-runtime[{name}]" for name in ("prod-runner-01", "prod-runner-02")),
        unknown=frozenset(),
        engines=NSPAWN,
        inject=want_docker,
        heal=write_again,
    ),
    Fault(
        "approval-ended",
        "The standby's approval ended yesterday, and nobody renewed it.",
        breaks=frozenset({"failover/standby-approved"}),
        unknown=frozenset(),
        engines=BOTH,
        inject=end_approval,
        heal=write_again,
    ),
)
