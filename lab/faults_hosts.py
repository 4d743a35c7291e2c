"""Faults of the hosts, of the way to them, and of production.

`prod-runner-01` is the primary, `prod-runner-02` the standby. The sets name the two hosts of a
default lab. An inject returns when the fault can be seen from where the suite looks, a heal when
health can.
"""

import time
from collections.abc import Callable

from lab import network, outside
from lab.engine import engine_named, on
from lab.fault import BOTH, LOOPBACK, NSPAWN, SYSTEMD, Fault
from lab.process import LabError, run, until
from lab.world import Lab, make_key

PRIMARY, STANDBY = "prod-runner-01", "prod-runner-02"
NOTHING: frozenset[str] = frozenset()
SKEW = "+7m"
"""More than the 5 minutes after which a runner's login at GitHub fails."""
SEEN_OVER_SSH = (
    "service-running", "listener-alive", "tells-the-truth", "polling", "diag-quiet", "version-supported",
    "workspace-clean", "identity-private", "disk-room", "clock-true", "reaches-production", "reaches-github",
    "targets-certified", "memory-room", "load-sane", "container-runtime", "tools-present", "hooks-in-place",
    "no-pending-reboot", "hardened",
)  # fmt: skip
SEEN_OF_ALL = frozenset({"failover/independent", "rollback/room-to-return"})
"""What takes an answer of every host."""


def health(runner: str, *slugs: str) -> frozenset[str]:
    return frozenset(f"runner-health/{slug}[{runner}]" for slug in slugs)


def unseen(runner: str) -> frozenset[str]:
    """Every check that asks this runner's host, by what it then gives: unknown."""
    others = (
        "failover/equal-controls",
        "secret-masking/host-keeps-none",
        "secret-masking/credentials-last",
        "rollback/dry-run",
    )
    return health(runner, *SEEN_OVER_SSH) | frozenset(f"{check}[{runner}]" for check in others)


def unit(lab: Lab, runner: str) -> str:
    return lab.host(runner).unit


def seen(lab: Lab, runner: str, command: str, wanted: str, what: str) -> None:
    """Wait until `command`, run as the gate runs it, prints `wanted`."""
    until(lambda: lab.ssh(runner, command)[1].strip() == wanted, what, 15, 0.2)


def answers(lab: Lab, runner: str) -> None:
    until(lambda: lab.ssh(runner, "true")[0] == 0, f"{runner} to answer SSH", 20, 0.2)


def does_not_answer(lab: Lab, runner: str) -> None:
    # The fault is in place already: this only waits for what was on its way.
    until(lambda: lab.ssh(runner, "true", 15, connect=1)[0] == 255, f"{runner} not to answer SSH", 20, 0.2)


def stop_service(runner: str) -> Callable[[Lab], None]:
    def inject(lab: Lab) -> None:
        on(lab, runner, f"systemctl stop {unit(lab, runner)}")
        lab.wait_offline(runner)

    return inject


def start_service(runner: str) -> Callable[[Lab], None]:
    def heal(lab: Lab) -> None:
        on(lab, runner, f"systemctl start {unit(lab, runner)}")
        lab.wait_online(runner)

    return heal


def disable_service(lab: Lab) -> None:
    on(lab, PRIMARY, f"systemctl disable --quiet {unit(lab, PRIMARY)}")


def enable_service(lab: Lab) -> None:
    # `disable` also removes a unit that is only linked; this one is a file in /etc and stays.
    on(lab, PRIMARY, f"systemctl enable --quiet {unit(lab, PRIMARY)}")


def lose_listener(lab: Lab) -> None:
    """A leaked child holds the dead listener's output, so that the wrapper waits and nothing is relaunched."""
    script = """
listener=$(pgrep -x Runner.Listener)
out=/proc/$listener/fd/1
setsid setpriv --reuid=runner --regid=runner --clear-groups sleep infinity >"$out" 2>&1 </dev/null &
child=$!
echo $child > /run/lab-leaked.pid
until [ "$(cat /proc/$child/comm)" = sleep ]; do sleep 0.05; done
kill -KILL "$listener"
"""
    on(lab, PRIMARY, script)
    lab.wait_offline(PRIMARY)
    state = on(
        lab, PRIMARY, f"systemctl is-active {unit(lab, PRIMARY)} || true; pgrep -x Runner.Listener || true"
    ).split()
    if state != ["active"]:
        raise LabError(f"the unit should be active and no listener alive; found {state}")


def regain_listener(lab: Lab) -> None:
    script = f"""
kill $(cat /run/lab-leaked.pid) 2>/dev/null || true
rm -f /run/lab-leaked.pid
systemctl restart {unit(lab, PRIMARY)}
"""
    on(lab, PRIMARY, script)
    lab.wait_online(PRIMARY)


def kill_listener(lab: Lab) -> None:
    engine_named(lab.engine).listener(lab, lab.host(PRIMARY), False)
    lab.wait_offline(PRIMARY)


def start_listener(lab: Lab) -> None:
    engine_named(lab.engine).listener(lab, lab.host(PRIMARY), True)
    lab.wait_online(PRIMARY)


UNEQUAL = frozenset({f"failover/equal-controls[{STANDBY}]"})
"""The standby is judged by the primary: what is changed in the primary's settings alone."""
AS_RUNNER = "setpriv --reuid=runner --regid=runner --clear-groups"
"""What a job does, it does as this user; files of root's in the work directory are a fault of their own."""


def in_work(script: str) -> Callable[[Lab], None]:
    """Run a script in the primary's work directory; `$work` is its path."""

    def act(lab: Lab) -> None:
        on(lab, PRIMARY, f"work={lab.host(PRIMARY).directory}/_work\n{script}\n")

    return act


def clock_offset(lab: Lab) -> float:
    code, said, _errors = lab.ssh(PRIMARY, "date +%s")
    return abs(int(said) - time.time()) if code == 0 and said.strip().isdigit() else -1.0


def skew_clock(lab: Lab) -> None:
    # The kernel's clock is everybody's. What moves is `date` as every SSH session sees it.
    script = f"""
library=$(ls /usr/lib/*/faketime/libfaketime.so.1)
echo "SetEnv LD_PRELOAD=$library FAKETIME={SKEW}" > /etc/ssh/sshd_config.d/lab-skew.conf
systemctl reload ssh
"""
    on(lab, PRIMARY, script)
    until(lambda: clock_offset(lab) > 300, "the skewed clock to be seen", 15, 0.2)


def true_clock(lab: Lab) -> None:
    on(lab, PRIMARY, "rm -f /etc/ssh/sshd_config.d/lab-skew.conf; systemctl reload ssh")
    until(lambda: 0 <= clock_offset(lab) < 5, "the true clock to be seen", 15, 0.2)


def stop_time_daemon(lab: Lab) -> None:
    on(lab, PRIMARY, "systemctl stop chrony")


def start_time_daemon(lab: Lab) -> None:
    on(lab, PRIMARY, "systemctl start chrony")


def stop_production(lab: Lab) -> None:
    outside.stop(lab, "production")


def start_production(lab: Lab) -> None:
    if not outside.running(lab, "production"):
        outside.start_production(lab)


def drop_egress(lab: Lab) -> None:
    match = f"ip daddr {lab.address} tcp dport {{ {lab.app_port}, {lab.database_port} }}"
    run([*network.inside(lab, PRIMARY), "nft", "-f", "-"], network.drop_rules("lab_egress", "output", match))


def pass_egress(lab: Lab) -> None:
    run([*network.inside(lab, PRIMARY), "nft", "delete", "table", "inet", "lab_egress"], check=False)


def sshd(verb: str, *, answering: bool) -> Callable[[Lab], None]:
    def act(lab: Lab) -> None:
        engine_named(lab.engine).sshd(lab, lab.host(PRIMARY), verb)
        (answers if answering else does_not_answer)(lab, PRIMARY)

    return act


def change_host_key(lab: Lab) -> None:
    other = lab.state / "ssh" / f"other_{PRIMARY}"
    make_key(other, PRIMARY)
    engine_named(lab.engine).present_key(lab, lab.host(PRIMARY), other)
    does_not_answer(lab, PRIMARY)


def restore_host_key(lab: Lab) -> None:
    engine_named(lab.engine).present_key(lab, lab.host(PRIMARY), lab.state / "ssh" / f"host_{PRIMARY}")
    answers(lab, PRIMARY)


def silence_all(lab: Lab) -> None:
    for host in lab.hosts:
        engine_named(lab.engine).silence(lab, host, True)
    for host in lab.hosts:
        does_not_answer(lab, host.name)


def hear_all(lab: Lab) -> None:
    for host in lab.hosts:
        engine_named(lab.engine).silence(lab, host, False)
    for host in lab.hosts:
        answers(lab, host.name)


UNREACHABLE = health(PRIMARY, "reachable")
UNSEEN = unseen(PRIMARY) | SEEN_OF_ALL
OFFLINE = ("service-running", "online", "listener-alive", "polling")

HOST_FAULTS: tuple[Fault, ...] = (
    Fault("service-stopped", "Somebody stopped the primary's service and went home: no listener, offline at GitHub.",
          health(PRIMARY, *OFFLINE), NOTHING, SYSTEMD, stop_service(PRIMARY), start_service(PRIMARY), PRIMARY),
    Fault("service-disabled", "The primary runs, but its service will not come back after a reboot.",
          health(PRIMARY, "service-running"), NOTHING, SYSTEMD, disable_service, enable_service, PRIMARY),
    Fault("listener-gone-unit-active", "systemd calls the primary's unit active, while its listener is dead.",
          health(PRIMARY, "listener-alive", "online", "polling"), NOTHING, SYSTEMD, lose_listener, regain_listener, PRIMARY),
    Fault("secondary-stopped", "The standby's service was stopped weeks ago, and nobody looked.",
          health(STANDBY, *OFFLINE) | {"failover/standby-ready"}, NOTHING, SYSTEMD,
          stop_service(STANDBY), start_service(STANDBY), STANDBY),
    Fault("listener-killed-loopback", "The primary's listener, a plain process, was killed; nothing starts it again.",
          health(PRIMARY, "listener-alive", "online", "polling"), NOTHING, LOOPBACK, kill_listener, start_listener, PRIMARY),
    Fault("disk-full-work", "The primary's work directory has no byte left.",
          health(PRIMARY, "disk-room") | {"rollback/room-to-return"}, NOTHING, SYSTEMD,
          in_work(f'{AS_RUNNER} dd if=/dev/zero of="$work/ballast" bs=1M status=none 2>/dev/null || true'),
          in_work('rm -f "$work/ballast"'), PRIMARY),
    Fault("disk-inodes-full", "The primary's work directory has bytes, but no inode left: `df` looks well.",
          health(PRIMARY, "disk-room"), NOTHING, NSPAWN,
          in_work(f'{AS_RUNNER} mkdir "$work/crumbs"; seq -f "$work/crumbs/%g" 1 5000 | {AS_RUNNER} xargs touch 2>/dev/null || true'),
          in_work('rm -rf "$work/crumbs"'), PRIMARY),
    Fault("work-read-only", "The primary's work directory was remounted read-only, as after a disk error.",
          health(PRIMARY, "disk-room"), NOTHING, NSPAWN,
          in_work('mount -o remount,ro "$work"'), in_work('mount -o remount,rw "$work"'), PRIMARY),
    Fault("clock-skew", "The primary's clock is seven minutes fast.",
          # sshd's own settings are how it is skewed, and the standby is judged by the primary's.
          health(PRIMARY, "clock-true") | UNEQUAL, NOTHING, SYSTEMD, skew_clock, true_clock, PRIMARY),
    Fault("time-daemon-stopped", "Nothing keeps the primary's clock: its time daemon is stopped.",
          health(PRIMARY, "clock-true"), NOTHING, SYSTEMD, stop_time_daemon, start_time_daemon, PRIMARY),
    Fault("target-down", "Production itself is down: neither the application nor the database answers.",
          health(PRIMARY, "reaches-production") | health(STANDBY, "reaches-production"), NOTHING, BOTH,
          stop_production, start_production),
    Fault("egress-dropped", "A firewall drops what the primary sends to production; the standby gets through.",
          health(PRIMARY, "reaches-production"), NOTHING, NSPAWN, drop_egress, pass_egress, PRIMARY),
    Fault("sshd-stopped", "The primary refuses SSH: its sshd is stopped.",
          UNREACHABLE, UNSEEN, BOTH, sshd("stop", answering=False), sshd("start", answering=True), PRIMARY),
    Fault("sshd-wedged", "The primary's sshd takes connections and says nothing.",
          UNREACHABLE, UNSEEN, BOTH, sshd("freeze", answering=False), sshd("thaw", answering=True), PRIMARY),
    Fault("host-key-changed", "The primary shows another host key than the pinned one: a new machine, or a stranger.",
          UNREACHABLE, UNSEEN, BOTH, change_host_key, restore_host_key, PRIMARY),
    Fault("all-hosts-silent", "No host answers SSH while both are online at GitHub: it is our own network.",
          NOTHING, health(PRIMARY, "reachable") | health(STANDBY, "reachable") | unseen(PRIMARY) | unseen(STANDBY) | SEEN_OF_ALL, BOTH,
          silence_all, hear_all),
)  # fmt: skip
