"""Losing the primary costs minutes, never a deploy, and never hands production to a stranger."""

from __future__ import annotations

from datetime import date

from checks.guarantees import FAILOVER, verifies
from fixtures.facts import doors
from fixtures.facts.context import Context, Runner
from fixtures.facts.drilled import Drilled
from fixtures.facts.equality import Equality
from fixtures.facts.finding import settled, told
from fixtures.facts.history import History, Proof
from fixtures.facts.limits import Limits
from fixtures.facts.machine import Machine, shared
from fixtures.facts.registrations import Choice, Registrations
from fixtures.facts.seen import NotApplicable
from fixtures.facts.settings import RunnerGroups
from fixtures.facts.standby import Standby, approval_fault, none_declared
from fixtures.facts.takeover import Takeover
from fixtures.facts.workflows import ProductionJob, Workflows, strange_takers


@verifies(
    FAILOVER,
    "standby-approved",
    severity="blocks",
    when="quick",
    remedy="renew `approved` of a secondary in {world.path}",
)
def test_standby_approved(world: Context, today: date) -> None:
    """At least one secondary has an approval that has not ended."""
    none_declared(world, today)
    secondaries = [runner for runner in world.runners if runner.role == "secondary"]
    assert secondaries, "the context has no secondary"
    faults = [approval_fault(runner, today) for runner in secondaries]
    assert "" in faults, "; ".join(faults)


@verifies(
    FAILOVER,
    "standby-ready",
    severity="warns",
    when="quick",
    remedy="gh api repos/{world.github.repository}/actions/runners",
)
def test_standby_ready(world: Context, standby: tuple[Standby, ...]) -> None:
    """An approved secondary is online and idle."""
    if not standby:
        raise NotApplicable("no secondary is approved; failover/standby-approved says so")
    assert any(s.ready for s in standby), "; ".join(map(repr, standby))


@verifies(
    FAILOVER,
    "reachable-by-job",
    severity="blocks",
    when="quick",
    remedy="write in job {world.deploy.job} of {world.deploy.workflow}: runs-on: ${{{{ fromJSON(needs.preflight.outputs.runs-on) }}}}",
)
def test_reachable_by_job(
    world: Context, today: date, approved: tuple[Runner, ...], production_jobs: tuple[ProductionJob, ...]
) -> None:
    """The deploy job can really be routed to the standby."""
    none_declared(world, today)
    secondaries = [runner for runner in approved if runner.role == "secondary"]
    deploys = [job for job in production_jobs if job.declares(world.deploy)]
    assert deploys, f"{world.deploy.workflow} has no job {world.deploy.job} that can run"
    if not secondaries:
        raise NotApplicable("no secondary is approved; failover/standby-approved says so")
    lost = [why for job in deploys if (why := doors.unreachable(job, secondaries, approved))]
    assert not lost, "; ".join(lost)


@verifies(
    FAILOVER,
    "hosted-never",
    severity="blocks",
    when="quick",
    waivable=False,
    remedy="write in the jobs named above: runs-on: ${{{{ fromJSON(needs.preflight.outputs.runs-on) }}}}",
)
def test_hosted_never(world: Context, workflows: Workflows, production_jobs: tuple[ProductionJob, ...]) -> None:
    """No production job can ask for a machine of GitHub's, or for any self-hosted one."""
    workflows.deploys(world)
    found = settled(doors.hosted(production_jobs, world))
    assert not found, told(found)


@verifies(
    FAILOVER,
    "strangers-excluded",
    severity="blocks",
    when="quick",
    rollback=True,
    waivable=False,
    remedy="gh api -X DELETE repos/{world.github.repository}/actions/runners/ID",
)
def test_strangers_excluded(
    world: Context,
    approved: tuple[Runner, ...],
    registrations: Registrations,
    production_jobs: tuple[ProductionJob, ...],
) -> None:
    """Of all registered runners, only approved ones can take a production job."""
    assert production_jobs, f"{world.deploy.workflow} has no job {world.deploy.job}"
    strange = {taker: job for job, taker in strange_takers(production_jobs, approved, registrations)}
    told = [f"{taker.name} ({taker.scope} runner {taker.id}) can take {job.place}" for taker, job in strange.items()]
    assert not told, f"not approved: {'; '.join(told)}"


@verifies(
    FAILOVER,
    "choice-binds",
    severity="blocks",
    when="quick",
    rollback=True,
    waivable=False,
    remedy="give each runner a label of its own, and put it into `runs_on` in {world.path}",
)
def test_choice_binds(world: Context, gate_choices: tuple[Choice, ...]) -> None:
    """Whatever the gate emits can be taken by approved runners only; the verdict adds that each of them must be fit."""
    if not gate_choices:
        raise NotApplicable("no runner is approved, so the gate emits nothing")
    for choice in gate_choices:
        assert not choice.strangers, f"{choice}; not approved: {', '.join(s.name for s in choice.strangers)}"
        assert not choice.takers or choice.runner.casefold() in {t.name.casefold() for t in choice.takers}, (
            f"{choice}, not by {choice.runner}"
        )


@verifies(
    FAILOVER,
    "group-guarded",
    severity="blocks",
    when="quick",
    remedy="gh api orgs/{world.github.owner}/actions/runner-groups",
)
def test_group_guarded(world: Context, runner_groups: RunnerGroups) -> None:
    """The runner groups of production admit only the declared repositories and workflows, and no public ones."""
    repositories = (world.github.repository, *world.admits.repositories)
    assert not runner_groups.faults(repositories, world.admits.workflows), "; ".join(
        runner_groups.faults(repositories, world.admits.workflows)
    )


@verifies(
    FAILOVER,
    "history-approved",
    severity="blocks",
    when="nightly",
    remedy="gh run list --repo {world.github.repository} --workflow {world.deploy.workflow} --limit 50",
)
def test_history_approved(world: Context, history: History) -> None:
    """Every production job of the window ran on a runner that was approved on that day."""
    assert not history.strangers(world), "; ".join(history.strangers(world))


@verifies(
    FAILOVER,
    "proven-lately",
    severity="warns",
    when="nightly",
    remedy="make drill-failover CONTEXT={world.name}",
)
def test_proven_lately(world: Context, standby_proof: Proof, limits: Limits, drilled: Drilled) -> None:
    """An approved standby finished a production job, or took over in a drill, not too long ago."""
    if not standby_proof.last:
        raise NotApplicable("no secondary is approved; failover/standby-approved says so")
    taken_over = drilled.held("failover/takeover", limits.standby_proof)
    assert standby_proof.proven(limits.standby_proof) or taken_over, (
        f"{standby_proof!r}; {drilled.told('failover/takeover')}"
    )


@verifies(
    FAILOVER,
    "equal-controls",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="make {runner} equal to {equality.primary}, or allow the difference under hosts.differences",
)
def test_equal_controls(runner: Runner, equality: Equality) -> None:
    """A standby equals the primary in versions, accounts, rights and settings, save what the context allows to differ."""
    faults = equality.faults
    assert not faults, f"{equality}\n{equality.told(faults)}"


@verifies(
    FAILOVER,
    "independent",
    severity="warns",
    when="nightly",
    remedy="give each runner a machine of its own, with its own machine-id and host keys",
)
def test_independent(world: Context, machines: tuple[Machine, ...]) -> None:
    """Primary and standbys are machines of their own: no shared machine-id, kernel, host key or address."""
    if world.failover.one_machine is not None:
        raise NotApplicable(f"the context allows one machine: {world.failover.one_machine}")
    if len(machines) < 2:
        raise NotApplicable("fewer than two runners are approved")
    assert not shared(machines), "; ".join(shared(machines))


@verifies(
    FAILOVER,
    "takeover",
    severity="blocks",
    when="drill",
    remedy="gh run view {takeover.canary.run} --repo {world.github.repository}",
)
def test_takeover(world: Context, approved: tuple[Runner, ...], takeover: Takeover) -> None:
    """With the primary gone, a canary deploy starts on an approved standby within the limit, its lock kept; then the primary returns and takes the next one."""
    faults = takeover.faults(approved)
    assert not faults, f"{'; '.join(faults)}\n{takeover.story.told}"
