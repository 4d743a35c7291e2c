"""The runner that takes the deploy can finish it."""

from __future__ import annotations

from checks.guarantees import RUNNER_HEALTH, verifies
from fixtures.facts.contact import Clock, Contact
from fixtures.facts.context import Limits, Runner
from fixtures.facts.host import Disks, Listeners, Reaches, Unit
from fixtures.facts.registrations import Registrations
from fixtures.facts.seen import NotApplicable


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
