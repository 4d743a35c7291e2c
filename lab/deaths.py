"""Ways in which a runner fails a deploy that it has, or was to have: what `lab.watchtable` lets happen under a watch.

They are done bluntly, and nobody tells the stand-in: it learns of a dead runner as GitHub does, by its silence.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lab import distance, faults_resources, faults_runner, limits, network, power
from lab.faults_hosts import PRIMARY
from lab.process import run
from lab.world import Lab

Act = Callable[[Lab], None]
NEIGHBOUR = faults_runner.NEIGHBOUR


def nothing(lab: Lab) -> None:
    return


def script(text: str) -> Act:
    """A script as root on the primary; `$root` is the runner's directory, `$unit` its service, `$work` its work folder."""
    return faults_runner.shell(f"work=$root/_work\n{text}")


def cut_github(lab: Lab) -> None:
    """The primary's way to GitHub is closed; SSH to it stays open."""
    rules = network.drop_rules("lab_watched", "output", f"ip daddr {lab.address} tcp dport {lab.api_port}")
    run([*network.inside(lab, PRIMARY), "nft", "-f", "-"], rules)


def open_github(lab: Lab) -> None:
    run([*network.inside(lab, PRIMARY), "nft", "delete", "table", "inet", "lab_watched"], check=False)


def register(lab: Lab) -> None:
    """The primary is listed at GitHub again; its host is made anew, with its identity."""
    wish = {"name": PRIMARY, "labels": list(lab.host(PRIMARY).labels), "group": "production"}
    lab.request("POST", "/_lab/runners", wish)


def busy(lab: Lab) -> None:
    faults_runner.busy(PRIMARY, "busy-under-watch")(lab)


def reboot(boots: bool) -> Act:
    def act(lab: Lab) -> None:
        if not boots:
            script('systemctl disable --quiet "$unit"')(lab)
        power.reboot(lab, lab.host(PRIMARY))

    return act


@dataclass(frozen=True)
class Death:
    """One kind. `first` happens before the job is queued, `then` once it runs; `causes` are the words with which a watch
    may tell it; `labels` are what the job asks for; `heal` is what a reset of the primary does not mend."""

    name: str
    story: str
    causes: frozenset[str]
    then: Act = nothing
    first: Act = nothing
    heal: Act = nothing
    labels: tuple[str, ...] = ("self-hosted", PRIMARY)
    job: str = "deploy"
    certain: bool = True

    @property
    def queued(self) -> bool:
        """Whether the job never runs on a runner of production."""
        return self.then is nothing


def dies(name: str, story: str, causes: str, then: Act, **more: object) -> Death:
    return Death(name, story, frozenset(causes.split()), then, **more)  # type: ignore[arg-type]


def waits(name: str, story: str, causes: str, first: Act = nothing, **more: object) -> Death:
    return Death(name, story, frozenset(causes.split()), first=first, **more)  # type: ignore[arg-type]


FILL = 'setpriv --reuid=runner --regid=runner --clear-groups dd if=/dev/zero of="$work/ballast" bs=1M status=none 2>/dev/null || true'
CRUMBS = 'mkdir -p "$work/crumbs"; seq -f "$work/crumbs/%g" 1 9000 | xargs touch 2>/dev/null || true'
LEAK = """
listener=$(pgrep -x Runner.Listener)
setsid setpriv --reuid=runner --regid=runner --clear-groups sleep infinity >"/proc/$listener/fd/1" 2>&1 </dev/null &
sleep 0.3
pkill -KILL -x Runner.Worker || true
kill -KILL "$listener"
"""
GONE = "service-dead listener-gone worker-gone worker-orphaned host-unreachable"

DEATHS: tuple[Death, ...] = (
    dies("service stopped", "somebody stops the service", "service-dead",
         script('systemctl stop --no-block "$unit"')),
    dies("service killed", "wrapper and listener are killed at once", "service-dead listener-gone worker-orphaned",
         script("pkill -KILL -x node; pkill -KILL -x Runner.Listener")),
    dies("listener killed", "the listener is killed and relaunched, its Worker lives on", "worker-orphaned listener-gone",
         script("pkill -KILL -x Runner.Listener")),
    dies("listener and Worker killed", "both are killed, a new listener knows nothing of the job", "worker-gone listener-gone cut-off",
         script("pkill -KILL -x 'Runner.Worker'; pkill -KILL -x Runner.Listener")),
    dies("unit active, listener gone", "a leaked child keeps the wrapper waiting", "listener-gone worker-orphaned cut-off",
         script(LEAK)),
    dies("listener crash-loops", "the listener aborts at every start", "service-dead listener-gone worker-orphaned worker-gone",
         script(faults_runner.CRASHES)),
    dies("listener stopped", "the listener is stopped, alive and deaf", "listener-stopped",
         script("pkill -STOP -x Runner.Listener")),
    dies("Worker stopped", "the Worker is stopped, and nothing goes on", "worker-stopped",
         script("pkill -STOP -x Runner.Worker")),
    dies("Worker killed", "the Worker crashes, and the listener reports the job as failed", "cut-off worker-gone",
         script("pkill -KILL -x Runner.Worker")),
    dies("registration removed", "somebody removes the runner at GitHub: its listener ends with 0", GONE + " offline",
         lambda lab: lab.request("DELETE", f"/_lab/runners/{PRIMARY}"), heal=register),
    dies("unlisted at GitHub", "GitHub lists the runner no more; its listener polls on", "offline",
         faults_runner.posted("runner-unregistered"), heal=faults_runner.deleted("runner-unregistered"), certain=False),
    dies("offline at GitHub", "GitHub calls it offline; it renews its lease all the same", "offline",
         faults_runner.posted("runner-offline-at-github"), heal=faults_runner.deleted("runner-offline-at-github"), certain=False),
    dies("cut off from GitHub", "a firewall closes its way to GitHub; SSH stays open", "lease-lost offline",
         cut_github, heal=open_github),
    dies("power cut", "the host loses its power", "host-unreachable offline",
         lambda lab: power.power_off(lab, lab.host(PRIMARY)), heal=lambda lab: power.power_on(lab, lab.host(PRIMARY))),
    dies("cable pulled", "the host loses its network", "host-unreachable offline",
         lambda lab: distance.link(lab, lab.host(PRIMARY), False), heal=lambda lab: distance.link(lab, lab.host(PRIMARY), True)),
    dies("host frozen", "the host hangs as a whole", "host-unreachable offline",
         lambda lab: limits.freeze(lab, lab.host(PRIMARY), True), heal=lambda lab: limits.freeze(lab, lab.host(PRIMARY), False)),
    dies("rebooted", "the host reboots, and its runner comes back without the job", GONE + " cut-off offline",
         reboot(True), heal=lambda lab: power.on_again(lab, lab.host(PRIMARY))),
    dies("rebooted without its runner", "the host reboots, and its service was never enabled", GONE + " cut-off offline",
         reboot(False), heal=lambda lab: power.on_again(lab, lab.host(PRIMARY))),
    dies("disk full", "the work folder has no byte left", "disk-full", script(FILL)),
    dies("inodes full", "the work folder has no inode left", "disk-full", script(CRUMBS)),
    dies("disk read-only", "the work folder is remounted read-only", "disk-read-only", script('mount -o remount,ro "$work"')),
    dies("out of memory", "the kernel kills a process of the runner's", "out-of-memory",
         faults_resources.starve, heal=faults_resources.feed, certain=False),
    waits("no runner wears the labels", "the job asks for a label that nobody wears", "not-taken", labels=("self-hosted", "prod-runner-10")),
    waits("runner dead before", "the service was stopped before the job came", "not-taken", script('systemctl stop "$unit"')),
    waits("runner busy", "somebody's tests have the runner", "not-taken", busy),
    waits("gate not picked up", "the control runner of the gate is dead", "gate-not-taken",
          labels=("self-hosted", "preflight-control"), job="preflight / preflight"),
    waits("taken by a stranger", "a runner that is not approved takes the job", "stranger",
          faults_runner.settle_neighbour, heal=faults_runner.remove_neighbour, labels=("self-hosted", "build")),
)  # fmt: skip

COMMON = frozenset({"service stopped", "disk full", "no runner wears the labels"})
"""Those that the suite's own tests let happen each time; all of them take minutes."""
