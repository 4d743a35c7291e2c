"""The runner that takes the deploy can finish it."""

from __future__ import annotations

from datetime import datetime

from checks.guarantees import RUNNER_HEALTH, verifies
from fixtures.facts import rights
from fixtures.facts.certificates import Certificates
from fixtures.facts.contact import Clock, Contact
from fixtures.facts.context import Context, Limits, Runner
from fixtures.facts.controls import Controls
from fixtures.facts.egress import Egress
from fixtures.facts.host import Disks, Listeners, Reaches, Unit
from fixtures.facts.memory import Memory
from fixtures.facts.registrations import Registrations
from fixtures.facts.runtime import Runtime
from fixtures.facts.seen import NotApplicable
from fixtures.facts.serviceenv import ServiceEnv
from fixtures.facts.tools import Tools
from fixtures.facts.upkeep import Upkeep


@verifies(
    RUNNER_HEALTH,
    "reachable",
    severity="blocks",
    when="quick",
    per="runner",
    rollback=True,
    remedy="ssh {runner.host} true",
)
def test_reachable(runner: Runner, contact: Contact) -> None:
    """The host answers SSH with its pinned host key, inside the deadline."""
    assert contact.answered, contact


@verifies(
    RUNNER_HEALTH,
    "registered",
    severity="blocks",
    when="quick",
    per="runner",
    rollback=True,
    remedy="ssh -t {runner.host} 'cd {runner.directory} && ./config.sh'",
)
def test_registered(runner: Runner, registrations: Registrations) -> None:
    """GitHub lists the runner once, under this name, in its group, with the declared labels."""
    found = registrations.named(runner.name)
    assert found, f"GitHub lists no runner named {runner}"
    assert len(found) == 1, f"GitHub lists {len(found)} runners named {runner}: {found}"
    declared = {label.casefold() for label in runner.labels}
    assert found[0].is_(runner), (
        f"{runner} is in {found[0].place}, not in "
        f"{f'group {runner.group}' if runner.group else 'the repository itself'}"
    )
    assert declared <= found[0].labels, f"{runner} lacks the labels {sorted(declared - found[0].labels)}"
    assert found[0].custom <= declared, f"{runner} wears undeclared labels {sorted(found[0].custom - declared)}"


@verifies(
    RUNNER_HEALTH,
    "online",
    severity="blocks",
    when="quick",
    per="runner",
    rollback=True,
    remedy="ssh {runner.host} 'sudo systemctl start \"$(cat {runner.directory}/.service)\"'",
)
def test_online(runner: Runner, registrations: Registrations) -> None:
    """GitHub says that the runner is online, asked twice before offline counts."""
    found = registrations.named(runner.name)
    assert found, f"GitHub lists no runner named {runner}"
    assert all(r.online for r in found), f"GitHub says that {runner} is offline"


@verifies(
    RUNNER_HEALTH,
    "service-running",
    severity="blocks",
    when="quick",
    per="runner",
    rollback=True,
    remedy="ssh {runner.host} sudo systemctl enable --now {unit.name}",
)
def test_service_running(runner: Runner, unit: Unit) -> None:
    """The runner's unit is active, enabled at boot, and not relaunching."""
    assert unit.loaded, unit
    assert unit.active_state == "active", unit
    assert unit.enabled, unit
    assert unit.relaunches < 3, unit


@verifies(
    RUNNER_HEALTH,
    "listener-alive",
    severity="blocks",
    when="quick",
    per="runner",
    rollback=True,
    remedy="ssh {runner.host} 'sudo systemctl restart \"$(cat {runner.directory}/.service)\"'",
)
def test_listener_alive(runner: Runner, listeners: Listeners) -> None:
    """Exactly one Runner.Listener lives, as the runner's own user, in its unit."""
    assert len(listeners.found) == 1, listeners
    assert listeners.alive(), listeners
    listener = listeners.found[0]
    assert listener.user == runner.user, f"{listener}; {runner.user} is declared"
    if runner.supervisor == "systemd":
        assert listener.user != "root", listener
        assert listener.unit, listener


@verifies(
    RUNNER_HEALTH,
    "disk-room",
    severity="blocks",
    when="quick",
    per="runner",
    rollback=True,
    remedy="ssh {runner.host} 'df -h; df -i; sudo du -xsh {runner.directory}/_work/* | sort -h | tail'",
)
def test_disk_room(runner: Runner, disks: Disks, limits: Limits) -> None:
    """Every mount that a job writes to has room, in bytes and inodes, and is writable."""
    for mount in disks.mounts:
        assert mount.writable, mount
        assert mount.free >= limits.disk_free, f"{mount}; {limits.disk_free} are needed"
        assert mount.free_percent >= limits.disk_free_percent, f"{mount}; {limits.disk_free_percent} % are needed"
        assert mount.inodes_free_percent >= limits.inodes_free_percent, (
            f"{mount}; {limits.inodes_free_percent} % of inodes are needed"
        )


@verifies(
    RUNNER_HEALTH,
    "clock-true",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'timedatectl; sudo systemctl restart chrony'",
)
def test_clock_true(runner: Runner, host_clock: Clock, limits: Limits) -> None:
    """The host's clock is close to GitHub's, and a time daemon keeps it so."""
    assert abs(host_clock.offset(limits.clock_offset)) <= limits.clock_offset.total_seconds(), host_clock
    assert host_clock.daemons or not limits.time_daemon, host_clock


@verifies(
    RUNNER_HEALTH,
    "reaches-production",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} curl -sS -o /dev/null -w '%{{http_code}}' ADDRESS",
)
def test_reaches_production(runner: Runner, reaches: Reaches) -> None:
    """Every target in the context answers from this host."""
    if not reaches.targets:
        raise NotApplicable("the context names no targets")
    dumb = [target for target in reaches.targets if not target.good]
    assert not dumb, f"from {runner}: {'; '.join(map(repr, dumb))}"


@verifies(
    RUNNER_HEALTH,
    "targets-certified",
    severity="warns",
    when="quick",
    per="runner",
    remedy="renew the certificate named above; see it with: ssh {runner.host} openssl s_client -connect ADDRESS",
)
def test_targets_certified(runner: Runner, certificates: Certificates, limits: Limits, now: datetime) -> None:
    """The certificates of the targets, as this host is shown them, live long enough."""
    if not certificates.shown and not certificates.silent:
        raise NotApplicable("no target of the context speaks TLS")
    ending = [shown for shown in certificates.shown if shown.left(now) < limits.certificate_left]
    assert not ending, f"from {runner}: {'; '.join(map(repr, ending))}"
    if not certificates.shown:
        raise NotApplicable("no target showed a certificate; runner-health/reaches-production says why")


@verifies(
    RUNNER_HEALTH,
    "reaches-github",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} curl -sSv -o /dev/null ADDRESS",
)
def test_reaches_github(runner: Runner, egress: Egress) -> None:
    """Every address that a runner needs answers this host, by the runner's own proxy and certificates."""
    silent = egress.silent
    assert not silent, f"from {runner}: {'; '.join(map(repr, silent))}"


@verifies(
    RUNNER_HEALTH,
    "memory-room",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'free -m; ps -eo rss,user,args --sort -rss | head'",
)
def test_memory_room(runner: Runner, memory: Memory, limits: Limits) -> None:
    """Enough memory is available, and nothing of the runner was killed lately for want of it."""
    assert not memory.killed(limits.oom_window), memory
    assert memory.available >= limits.memory_free, f"{memory}; {limits.memory_free} are needed"
    assert memory.percent >= limits.memory_free_percent, f"{memory}; {limits.memory_free_percent} % are needed"


@verifies(
    RUNNER_HEALTH,
    "load-sane",
    severity="warns",
    when="nightly",
    per="runner",
    remedy="ssh {runner.host} 'uptime; ps -eo pcpu,user,args --sort -pcpu | head'",
)
def test_load_sane(runner: Runner, memory: Memory, limits: Limits) -> None:
    """The host is not so loaded that a job would starve on it."""
    assert memory.load_per_cpu < limits.load_per_cpu, f"{memory}; {limits.load_per_cpu} for each counts as overload"


@verifies(
    RUNNER_HEALTH,
    "container-runtime",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'systemctl status {runtime.kind}; id {runner.user}'",
)
def test_container_runtime(runner: Runner, runtime: Runtime) -> None:
    """The declared container runtime answers the service's user, with the groups that the running listener has."""
    assert not runtime.fault(runner.user), f"on {runner}: {runtime.fault(runner.user)}"


@verifies(
    RUNNER_HEALTH,
    "tools-present",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'cat {runner.directory}/.path'",
)
def test_tools_present(world: Context, runner: Runner, tools: Tools) -> None:
    """The commands that a deploy needs are on the service's PATH, in the versions that it needs."""
    if not world.hosts.tools:
        raise NotApplicable("the context declares no commands (hosts.tools)")
    amiss = tools.faults(world.hosts.tools)
    assert not amiss, f"on {runner}, by {tools.origin}: {'; '.join(amiss)}"


@verifies(
    RUNNER_HEALTH,
    "hooks-in-place",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'grep -n HOOK {runner.directory}/.env; sudo chown root: HOOK; sudo chmod 755 HOOK'",
)
def test_hooks_in_place(world: Context, runner: Runner, service_env: ServiceEnv) -> None:
    """The job hooks are those declared; each exists, can be run, and cannot be changed by the runner's own user."""
    if not service_env.hooks and world.hosts.hooks is None:
        raise NotApplicable("no job hook is set, and the context declares none (hosts.hooks)")
    amiss = service_env.hook_faults(world.hosts.hooks, runner.user)
    assert not amiss, f"on {runner}: {'; '.join(amiss)}"


@verifies(
    RUNNER_HEALTH,
    "no-pending-reboot",
    severity="warns",
    when="nightly",
    per="runner",
    remedy="ssh {runner.host} 'systemctl --failed; cat /run/reboot-required.pkgs'",
)
def test_no_pending_reboot(runner: Runner, upkeep: Upkeep, limits: Limits) -> None:
    """The host waits for no reboot, has no failed unit, and was rebooted within the limit."""
    assert not upkeep.pending, upkeep
    assert not upkeep.failed, upkeep
    assert upkeep.uptime <= limits.uptime_most, upkeep


@verifies(
    RUNNER_HEALTH,
    "hardened",
    severity="warns",
    when="nightly",
    per="runner",
    remedy="take back what is named above, or declare it under `hosts` in {world.path}",
)
def test_hardened(world: Context, runner: Runner, service_env: ServiceEnv, controls: Controls) -> None:
    """No protection of the runner is off, and groups, sudo, keys and sshd give no more than is declared."""
    loose = rights.faults(service_env, controls, world.hosts, runner)
    assert not loose, f"on {runner}: {'; '.join(loose)}"
