"""The runner that takes the deploy can finish it."""

from __future__ import annotations

from datetime import datetime

from checks.guarantees import RUNNER_HEALTH, verifies
from fixtures.facts import rights
from fixtures.facts.certificates import Certificates
from fixtures.facts.connections import Connections
from fixtures.facts.contact import Clock, Contact
from fixtures.facts.context import Context, Runner
from fixtures.facts.controls import Controls
from fixtures.facts.diag import Diag
from fixtures.facts.egress import Egress
from fixtures.facts.host import Disks, Reaches
from fixtures.facts.identity import Identity
from fixtures.facts.installed import Installed, overdue
from fixtures.facts.limits import Limits
from fixtures.facts.memory import Memory
from fixtures.facts.processes import Processes
from fixtures.facts.registrations import Registrations
from fixtures.facts.releases import Releases, version
from fixtures.facts.runtime import Runtime
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.facts.serviceenv import ServiceEnv
from fixtures.facts.tools import Tools
from fixtures.facts.unit import Unit
from fixtures.facts.upkeep import Upkeep
from fixtures.facts.workspace import Workspace


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
    """The runner's unit is active, enabled at boot, able to start anew, and not relaunching."""
    assert unit.loaded, f"{unit}"
    assert unit.active_state == "active", f"{unit}"
    assert unit.enabled, f"{unit}"
    assert not unit.elsewhere, f"{unit}"
    assert not unit.start, f"{unit}"
    assert unit.relaunches < 3, f"{unit}"


@verifies(
    RUNNER_HEALTH,
    "listener-alive",
    severity="blocks",
    when="quick",
    per="runner",
    rollback=True,
    remedy="ssh {runner.host} 'sudo systemctl restart \"$(cat {runner.directory}/.service)\"'",
)
def test_listener_alive(runner: Runner, processes: Processes) -> None:
    """Exactly one Runner.Listener lives, as the runner's own user, in its unit."""
    assert len(processes.listeners) == 1, f"{processes}"
    assert processes.listening, f"{processes}"
    listener = processes.listeners[0]
    assert listener.user == runner.user, f"{listener}; {runner.user} is declared"
    if runner.supervisor == "systemd":
        assert listener.user != "root", listener
        assert listener.unit, listener
        assert listener.unit == processes.service, f"{listener}; its .service names {processes.service or 'nothing'}"


@verifies(
    RUNNER_HEALTH,
    "tells-the-truth",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'ps -eo pid,ppid,user,etime,args | grep \"[R]unner\\.\"'",
)
def test_tells_the_truth(runner: Runner, registrations: Registrations, processes: Processes) -> None:
    """The host and GitHub agree: online where a Listener listens, busy where a Worker lives, and each Worker has its Listener."""
    assert not processes.orphans, f"without a living listener: {', '.join(map(str, processes.orphans))}"
    assert processes.registered.casefold() in ("", runner.name.casefold()), (
        f"the host of {runner} holds the registration of {processes.registered}"
    )
    found = registrations.named(runner.name)
    said = "online" if any(r.online for r in found) else "offline" if found else "not registered"
    is_ = "listens" if processes.listening else "does not listen"
    assert (said == "online") == processes.listening, f"GitHub says that {runner} is {said}, and on its host it {is_}"
    claims, works = any(r.busy for r in found), processes.busy
    if claims != works and processes.turning():
        raise Unseen(f"whether {runner} is busy: a job began or ended there just now", "ask again in a minute")
    assert claims == works, (
        f"GitHub says that {runner} is {'busy' if claims else 'idle'}, and on its host {'a' if works else 'no'} Worker lives"
    )


@verifies(
    RUNNER_HEALTH,
    "polling",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'sudo systemctl restart \"$(cat {runner.directory}/.service)\"'",
)
def test_polling(runner: Runner, processes: Processes, connections: Connections, diag: Diag) -> None:
    """The Listener holds its connection to GitHub, and its log does not end in a known hang."""
    assert processes.listening, f"nobody polls for {runner}: {processes}"
    assert connections.held, f"{runner} hears of no job: {connections}"
    assert not diag.hang(processes.busy), f"{runner}: {diag.hang(processes.busy)}"


@verifies(
    RUNNER_HEALTH,
    "diag-quiet",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'tail -n 50 {runner.directory}/_diag/{diag.log}'",
)
def test_diag_quiet(runner: Runner, diag: Diag, limits: Limits) -> None:
    """Nothing that the runner's log says since it listens is a critical trouble that lasts."""
    hits = diag.critical(limits.diag_window)
    assert not hits, f"{len(hits)} lines of {runner}'s log, the last: {hits[-1]}"


@verifies(
    RUNNER_HEALTH,
    "version-supported",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'readlink {runner.directory}/bin; ls -l {runner.directory}/_diag/SelfUpdate-*'",
)
def test_version_supported(
    runner: Runner, installed: Installed, runner_releases: Releases, limits: Limits, now: datetime
) -> None:
    """The installed version is above the floor and not long behind the latest release, and no update is stuck."""
    assert not installed.stuck, f"{runner}: {installed}"
    assert installed.version >= version(limits.runner_floor), (
        f"{runner} has {installed}; {limits.runner_floor} is the floor"
    )
    newer = runner_releases.newer(installed.version)
    assert not overdue(installed, newer, now, limits.runner_age), (
        f"{runner}: {overdue(installed, newer, now, limits.runner_age)}"
    )


@verifies(
    RUNNER_HEALTH,
    "workspace-clean",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'sudo find {workspace.folder} -xdev ! -user {runner.user}; ls -la {workspace.folder}/_temp'",
)
def test_workspace_clean(runner: Runner, workspace: Workspace) -> None:
    """Nothing in the work directory belongs to somebody else, and nothing of a dead job is left while the runner is idle."""
    assert not workspace.foreign, f"{workspace}"
    assert not workspace.pages, f"{workspace}"
    assert not workspace.temp or not workspace.idle, f"{workspace}"


@verifies(
    RUNNER_HEALTH,
    "identity-private",
    severity="blocks",
    when="quick",
    per="runner",
    remedy="ssh {runner.host} 'ls -la {runner.directory}; sudo chmod 600 {runner.directory}/.credentials_rsaparams'",
)
def test_identity_private(runner: Runner, identity: Identity) -> None:
    """The runner's key is its user's alone, and nobody else may write the runner's tree."""
    assert not identity.missing, f"{runner} is not registered on its host: {', '.join(identity.missing)} missing"
    assert identity.private, f"{identity}"
    assert not identity.loose, f"{identity}"


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
