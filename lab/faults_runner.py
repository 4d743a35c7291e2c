"""Faults of the runner itself on its host: its processes, its log, its version, its identity, its work directory.

A runner dies in ways that systemd does not show; each is made here as it comes about, or, where it takes weeks, by the
trace that it leaves. The sets name the two hosts of a default lab.
"""

from collections.abc import Callable

from lab.engine import on
from lab.fault import BOTH, NSPAWN, Fault
from lab.faults_hosts import (
    AS_RUNNER,
    NOTHING,
    OFFLINE,
    PRIMARY,
    SKEW,
    STANDBY,
    UNEQUAL,
    health,
    skew_clock,
    start_service,
    true_clock,
    unit,
)
from lab.process import until
from lab.world import Lab

LOG = 'log=$(ls "$root"/_diag/Runner_*.log | tail -n 1)'


def shell(script: str, runner: str = PRIMARY) -> Callable[[Lab], None]:
    """Run a script as root on a host; `$root` is the runner's directory, `$unit` its service."""

    def act(lab: Lab) -> None:
        host = lab.host(runner)
        on(lab, runner, f"root={host.directory}\nunit={host.unit}\n{script}\n")

    return act


def kill_service(lab: Lab) -> None:
    """The wrapper and the listener at once, as the kernel does when memory ends: the unit fails, nothing relaunches."""
    shell("pkill -KILL -x node; pkill -KILL -x Runner.Listener")(lab)
    lab.wait_offline(PRIMARY)


def revive_service(lab: Lab) -> None:
    shell('systemctl reset-failed "$unit"; systemctl start "$unit"')(lab)
    lab.wait_online(PRIMARY)


CRASHES = r"""
mv "$root"/bin/Runner.Listener "$root"/bin/Runner.Listener.whole
printf '#!/bin/sh\necho "Process terminated. Could'"'"'t find a valid ICU package installed on the system." >&2\nkill -ABRT $$\n' > "$root"/bin/Runner.Listener
chmod 755 "$root"/bin/Runner.Listener
systemctl restart "$unit"
"""


def crash_loop(lab: Lab) -> None:
    """The listener aborts at once, as without libicu, and the wrapper relaunches it for ever while the unit is active."""
    shell(CRASHES)(lab)
    lab.wait_offline(PRIMARY)
    count = f"journalctl -u {unit(lab, PRIMARY)} --since=-1h -o cat | grep -c 're-launch runner in 5 seconds' || true"
    until(lambda: int(on(lab, PRIMARY, count).strip() or 0) >= 3, "three relaunches", 40, 0.5)


def end_crash_loop(lab: Lab) -> None:
    script = """
[ ! -e "$root"/bin/Runner.Listener.whole ] || mv -f "$root"/bin/Runner.Listener.whole "$root"/bin/Runner.Listener
systemctl stop "$unit"
# The check looks an hour back: without its journal the host is as new.
journalctl --quiet --rotate
journalctl --quiet --vacuum-time=1s 2>/dev/null
systemctl start "$unit"
"""
    shell(script)(lab)
    lab.wait_online(PRIMARY)


def stop_listener(lab: Lab) -> None:
    shell("pkill -STOP -x Runner.Listener")(lab)
    lab.wait_offline(PRIMARY)


def continue_listener(lab: Lab) -> None:
    shell("pkill -CONT -x Runner.Listener")(lab)
    lab.wait_online(PRIMARY)


def busy(runner: str, title: str) -> Callable[[Lab], None]:
    """A job that lasts, asked for by a branch that names the runner's own label, and running."""

    def inject(lab: Lab) -> None:
        labels = ["self-hosted", runner]
        steps = [{"name": "Test", "run": "exec sleep 3600"}]
        wish = {"name": "test", "title": title, "branch": "topic/gears", "labels": labels, "steps": steps}
        job = lab.request("POST", "/_lab/jobs", wish)["job_id"]

        def runs() -> bool:
            told = lab.request("GET", f"/_lab/jobs/{job}")
            return told["state"] == "held" and any(s["status"] == "in_progress" for s in told["steps"][1:])

        until(runs, f"a job to run on {runner}", 20, 0.2)

    return inject


def idle(runner: str, title: str) -> Callable[[Lab], None]:
    def heal(lab: Lab) -> None:
        for job in lab.request("GET", "/_lab/jobs"):
            if job["title"] == title and job["state"] != "done":
                lab.request("DELETE", f"/_lab/jobs/{job['job_id']}")

        def done() -> bool:
            mine = [job for job in lab.request("GET", "/_lab/jobs") if job["title"] == title]
            return all(job["state"] == "done" for job in mine) and not lab.runners()[runner]["busy"]

        until(done, f"{runner} to be idle", 30, 0.2)

    return heal


def orphan_worker(lab: Lab) -> None:
    """The listener is killed during a job. The wrapper starts a new one, which knows nothing of the Worker that lives on."""
    busy(PRIMARY, "worker-orphaned")(lab)
    old = on(lab, PRIMARY, "pgrep -x Runner.Listener").strip()
    shell("pkill -KILL -x Runner.Listener")(lab)
    fresh = f"pgrep -x Runner.Listener | grep -vx {old} || true"
    until(lambda: bool(on(lab, PRIMARY, fresh).strip()), "the listener to be relaunched", 20, 0.3)
    until(lambda: "Listening for Jobs" in newest_log(lab), "the new listener to listen", 20, 0.3)
    lab.wait_online(PRIMARY)


def newest_log(lab: Lab) -> str:
    return on(lab, PRIMARY, f'root={lab.host(PRIMARY).directory}\n{LOG}\ncat "$log"')


def end_orphan(lab: Lab) -> None:
    shell('pkill -KILL -x Runner.Worker || true; pkill -KILL -x sleep || true; rm -rf "$root"/_work/_temp/*')(lab)
    forget(lab, "worker-orphaned")


def forget(lab: Lab, title: str) -> None:
    """What GitHub does after ten minutes with a job whose lease nobody renews, at once."""
    for job in lab.request("GET", "/_lab/jobs"):
        if job["title"] == title:
            lab.request("POST", f"/_lab/jobs/{job['job_id']}/lose")


def second_listener(lab: Lab) -> None:
    """Somebody starts the runner by hand, in a terminal that stays open, beside its service."""
    script = f"""
setsid {AS_RUNNER} sh -c 'cd "$0" && exec ./run.sh' "$root" </dev/null >/dev/null 2>&1 &
"""
    shell(script)(lab)
    until(lambda: on(lab, PRIMARY, "pgrep -c -x Runner.Listener || true").strip() == "2", "two listeners", 10, 0.2)
    until(
        lambda: "A session for this runner already exists" in newest_log(lab), "the second one to be refused", 10, 0.2
    )


def end_second_listener(lab: Lab) -> None:
    script = """
pkill -KILL -f 'actions-runner/run(-helper)?[.]sh|^/bin/bash ./run[.]sh' || true
for pid in $(pgrep -x Runner.Listener); do
  grep -q "/$unit" /proc/$pid/cgroup || { kill -KILL $pid; rm -f "$(ls "$root"/_diag/Runner_*.log | tail -n 1)"; }
done
"""
    shell(script)(lab)
    lab.wait_online(PRIMARY)


def log_line(text: str, *, ago: int = 0, source: str = "Runner", level: str = "INFO") -> str:
    """Append a line to the newest log of the listener, `ago` seconds old. The log's size before is kept, for the healer."""
    return f"""
{LOG}
stat -c %s "$log" > /run/lab-log-size
printf '[%sZ %-4s %s] %s\\n' "$(date -u -d '-{ago} seconds' '+%Y-%m-%d %H:%M:%S')" '{level}' '{source}' '{text}' >> "$log"
"""


UNLOG = f'{LOG}\n[ ! -e /run/lab-log-size ] || truncate -s "$(cat /run/lab-log-size)" "$log"\nrm -f /run/lab-log-size'


def remove_registration(lab: Lab) -> None:
    """Somebody removes the runner at GitHub. Its listener hears of it, deletes its own identity, and ends with 0."""
    shell('cp -a "$root"/.runner "$root"/.credentials "$root"/.credentials_rsaparams /run')(lab)
    lab.request("DELETE", f"/_lab/runners/{PRIMARY}")
    active = f"systemctl is-active {unit(lab, PRIMARY)} || true"
    until(lambda: on(lab, PRIMARY, active).strip() == "inactive", "the listener to end", 15, 0.2)


def restore_registration(lab: Lab) -> None:
    lab.request(
        "POST", "/_lab/runners", {"name": PRIMARY, "labels": list(lab.host(PRIMARY).labels), "group": "production"}
    )
    shell('for f in .runner .credentials .credentials_rsaparams; do [ ! -e /run/$f ] || mv -f /run/$f "$root"/; done')(
        lab
    )
    start_service(PRIMARY)(lab)


SKEWED = f"""
mkdir -p /etc/systemd/system/"$unit".d
library=$(ls /usr/lib/*/faketime/libfaketime.so.1)
printf '[Service]\\nEnvironment=LD_PRELOAD=%s FAKETIME={SKEW}\\n' "$library" > /etc/systemd/system/"$unit".d/lab-skew.conf
systemctl daemon-reload
systemctl restart "$unit"
"""


def refuse_for_clock(lab: Lab) -> None:
    """The listener starts anew with a clock that is off, and GitHub answers as if it did not know it."""
    skew_clock(lab)
    shell(SKEWED)(lab)
    active = f"systemctl is-active {unit(lab, PRIMARY)} || true"
    until(lambda: on(lab, PRIMARY, active).strip() == "inactive", "the listener to be refused", 15, 0.2)
    lab.wait_offline(PRIMARY)


def mend_clock(lab: Lab) -> None:
    shell('rm -rf /etc/systemd/system/"$unit".d; systemctl daemon-reload')(lab)
    true_clock(lab)
    # What it wrote in the future would be its newest log for seven minutes more.
    shell(f'{LOG}; rm -f "$log"')(lab)
    start_service(PRIMARY)(lab)


NEIGHBOUR = "neighbour-01"
SETTLE = f"""
place=/opt/neighbour name={NEIGHBOUR}
mkdir -p $place/_diag $place/_work
cp -a "$root"/bin.2.336.0 "$root"/externals.2.336.0 "$root"/run "$root"/run.sh "$root"/runsvc.sh "$root"/.env "$root"/.path "$root"/.credentials "$root"/.credentials_rsaparams $place/
ln -s $place/bin.2.336.0 $place/bin
ln -s $place/externals.2.336.0 $place/externals
sed "s/{PRIMARY}/$name/" "$root"/.runner > $place/.runner
sed "s/{PRIMARY}/$name/" "$root"/.service > $place/.service
chown runner:runner $place $place/_diag $place/_work $place/.runner $place/.service
sed -e "s#$root#$place#" -e "s/{PRIMARY}/$name/" /etc/systemd/system/"$unit" > /etc/systemd/system/"$(cat $place/.service)"
systemctl daemon-reload
systemctl start "$(cat $place/.service)"
"""
LEAVE = """
place=/opt/neighbour
if [ -d $place ]; then systemctl stop "$(cat $place/.service)"; rm -f /etc/systemd/system/"$(cat $place/.service)"; fi
rm -rf $place
systemctl daemon-reload
"""


def settle_neighbour(lab: Lab) -> None:
    """A second runner on the primary's host, in a root and a service of its own, for another purpose."""
    lab.request("POST", "/_lab/runners", {"name": NEIGHBOUR, "labels": ["build"]})
    shell(SETTLE)(lab)
    lab.wait_online(NEIGHBOUR)


def remove_neighbour(lab: Lab) -> None:
    shell(LEAVE)(lab)
    if NEIGHBOUR in lab.runners():
        lab.request("DELETE", f"/_lab/runners/{NEIGHBOUR}")


OLD_VERSION = r"""sed -i.whole 's/2\.336\.0/2.334.0/' "$root"/bin/Runner.Listener.deps.json"""
RIGHT_VERSION = 'f="$root"/bin/Runner.Listener.deps.json; [ ! -e $f.whole ] || mv -f $f.whole $f'


def posted(name: str) -> Callable[[Lab], None]:
    def inject(lab: Lab) -> None:
        lab.request("POST", f"/_lab/fault/{name}")

    return inject


def deleted(name: str) -> Callable[[Lab], None]:
    def heal(lab: Lab) -> None:
        if name in lab.request("GET", "/_lab/state")["world_faults"]:
            lab.request("DELETE", f"/_lab/fault/{name}")

    return heal


def on_primary(name: str, story: str, slugs: tuple[str, ...], inject: str, heal: str) -> Fault:
    return Fault(name, story, health(PRIMARY, *slugs), NOTHING, NSPAWN, shell(inject), shell(heal), PRIMARY)


FAULTS: tuple[Fault, ...] = (
    Fault("standby-busy", "The standby runs somebody's tests.",
          frozenset({"failover/standby-ready"}), NOTHING, BOTH, busy(STANDBY, "standby-busy"), idle(STANDBY, "standby-busy")),
    Fault("runner-busy-primary", "The primary runs somebody's tests. That breaks no promise: a deploy waits its turn.",
          NOTHING, NOTHING, BOTH, busy(PRIMARY, "runner-busy-primary"), idle(PRIMARY, "runner-busy-primary")),
    Fault("service-killed", "The primary's wrapper and listener were killed at once: the unit failed, and nothing restarts it.",
          health(PRIMARY, *OFFLINE, "no-pending-reboot"), NOTHING, NSPAWN, kill_service, revive_service, PRIMARY),
    Fault("listener-crash-loops", "The primary's listener aborts at every start, as without libicu; systemd calls the unit active and NRestarts stays 0.",
          health(PRIMARY, *OFFLINE), NOTHING, NSPAWN, crash_loop, end_crash_loop, PRIMARY),
    Fault("listener-stopped", "The primary's listener is stopped, as under a debugger: alive, and deaf.",
          health(PRIMARY, "online", "listener-alive", "polling"), NOTHING, NSPAWN, stop_listener, continue_listener, PRIMARY),
    Fault("worker-orphaned", "The primary's listener died during a job; a new one listens, and the old job's Worker runs on.",
          health(PRIMARY, "tells-the-truth"), NOTHING, NSPAWN, orphan_worker, end_orphan, PRIMARY),
    Fault("second-listener", "Somebody started the primary by hand in a terminal, beside its service.",
          health(PRIMARY, "listener-alive", "diag-quiet"), NOTHING, NSPAWN, second_listener, end_second_listener, PRIMARY),
    Fault("registration-removed", "Somebody removed the primary at GitHub: its listener deleted its identity and ended with 0, so systemd sees success.",
          health(PRIMARY, *OFFLINE, "registered", "identity-private", "diag-quiet"), NOTHING, NSPAWN, remove_registration, restore_registration, PRIMARY),
    Fault("clock-refused", "The primary's clock is seven minutes fast and its runner was restarted: GitHub refuses it, and it says that its registration was deleted.",
          health(PRIMARY, *OFFLINE, "clock-true", "diag-quiet") | UNEQUAL, NOTHING, NSPAWN, refuse_for_clock, mend_clock, PRIMARY),
    Fault("neighbour", "Another runner lives on the primary's host, in a root and a service of its own. Nothing of it counts.",
          NOTHING, NOTHING, NSPAWN, settle_neighbour, remove_neighbour, PRIMARY),
    on_primary("listener-hangs", "The primary took a job five minutes ago and never began it: the log ends in that line.",
               ("polling",), log_line("AAD Correlation ID for this token request: Unknown", ago=300, source="GitHubActionsService"), UNLOG),
    on_primary("registration-deleted-in-log", "The primary's log says that its registration was deleted, as it does for a wrong clock too.",
               ("diag-quiet",), log_line("WRITE ERROR: Failed to create a session. The runner registration has been deleted from the server, please re-configure.", source="Terminal", level="ERR"), UNLOG),
    on_primary("trouble-of-yesterday", "What the primary's log told two days ago does not count any more.",
               (), log_line("Return code 137 indicate worker encounter an unhandled exception or app crash.", ago=172800, source="JobDispatcher", level="ERR"), UNLOG),
    on_primary("registration-of-another", "The primary's disk is a copy of the standby's: it holds the other's registration, and will use it at the next start.",
               ("tells-the-truth",), """sed -i.whole 's/"agentName": "[^"]*"/"agentName": "prod-runner-02"/' "$root"/.runner""", '[ ! -e "$root"/.runner.whole ] || mv -f "$root"/.runner.whole "$root"/.runner'),
    Fault("runner-outdated", "The primary runs a version that was followed by newer ones months ago.",
          health(PRIMARY, "version-supported"), NOTHING, NSPAWN, shell(OLD_VERSION), shell(RIGHT_VERSION), PRIMARY),
    Fault("runner-release-overdue", "A newer release of the runner came out 45 days ago, and neither host has it.",
          health(PRIMARY, "version-supported") | health(STANDBY, "version-supported"), NOTHING, BOTH,
          posted("runner-release-overdue"), deleted("runner-release-overdue")),
    Fault("runner-release-new", "A newer release of the runner came out five days ago: there is time.",
          NOTHING, NOTHING, BOTH, posted("runner-release-new"), deleted("runner-release-new")),
    on_primary("update-stuck", "The primary has been updating itself for an hour: online at GitHub, and taking no jobs.",
               ("version-supported",), 'touch -d "-1 hour" "$root"/_diag/SelfUpdate-20260101-000000.log', 'rm -f "$root"/_diag/SelfUpdate-*'),
    on_primary("update-failed", "The primary's last update of itself failed.",
               ("version-supported",), 'touch "$root"/_diag/SelfUpdate-20260101-000000.log.failed', 'rm -f "$root"/_diag/SelfUpdate-*'),
    Fault("bin-broken", "The primary's directory was moved: its links lead nowhere. What runs goes on until it is restarted.",
          health(PRIMARY, "version-supported"), NOTHING, NSPAWN,
          shell('ln -sfn /nowhere/bin.2.336.0 "$root"/bin.tmp; mv -T "$root"/bin.tmp "$root"/bin'),
          shell('ln -sfn "$root"/bin.2.336.0 "$root"/bin.tmp; mv -T "$root"/bin.tmp "$root"/bin'), PRIMARY),
    on_primary("runsvc-empty", "An update left the primary's runsvc.sh empty: it runs, and will not start again.",
               ("service-running",), 'cp -a "$root"/runsvc.sh /run/runsvc.sh; : > "$root"/runsvc.sh', '[ ! -e /run/runsvc.sh ] || cp -a /run/runsvc.sh "$root"/runsvc.sh; rm -f /run/runsvc.sh'),
    on_primary("key-readable", "Every user of the primary may read the runner's private key.",
               ("identity-private",), 'chmod 644 "$root"/.credentials_rsaparams', 'chmod 600 "$root"/.credentials_rsaparams'),
    on_primary("tree-writable", "Every user of the primary may replace the runner's program.",
               ("identity-private",), 'chmod o+w "$root"/bin/', 'chmod o-w "$root"/bin/'),
    on_primary("files-of-root", "A container job left files of root's deep in the primary's work directory.",
               ("workspace-clean",), 'mkdir -p "$root"/_work/widgets/widgets/dist; touch "$root"/_work/widgets/widgets/dist/left', 'rm -rf "$root"/_work/widgets'),
    on_primary("temp-scripts-left", "A Worker died: the scripts of its job, with the secrets in them, lie in the primary's _temp.",
               ("workspace-clean",), f'{AS_RUNNER} sh -c \'mkdir -p "$0"/_work/_temp; echo true > "$0"/_work/_temp/0b2e.sh\' "$root"', 'rm -rf "$root"/_work/_temp'),
    on_primary("pages-left", "Log pages of a dead job are in the way of the next one on the primary.",
               ("workspace-clean",), 'mkdir -p "$root"/_diag/pages; touch -d "-2 hours" "$root"/_diag/pages/a_b_1.log', 'rm -rf "$root"/_diag/pages'),
    Fault("diag-hidden", "The audit user may not read the primary's logs: nothing is known to be broken.",
          NOTHING, health(PRIMARY, "diag-quiet", "polling", "version-supported", "workspace-clean") | {f"secret-masking/host-keeps-none[{PRIMARY}]"}, NSPAWN,
          shell('chmod 700 "$root"/_diag'), shell('chmod 755 "$root"/_diag'), PRIMARY),
)  # fmt: skip
