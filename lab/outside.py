"""The lab's own processes beside the hosts: the GitHub stand-in, production, and the hosts' name server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import monitor, names, network, rehearsal, target, tls
from lab.leftovers import zombie
from lab.process import LabError, until
from lab.world import MARK, REPOSITORY, Lab

GITHUB = "lab.github"
PRODUCTION = "lab.production"
NAMES = "lab.names"
MONITOR = "lab.monitor"
FRONT = "lab.front"
TARGET = "lab.target"
SITE = "lab.site"


def environment(lab: Lab) -> dict[str, str]:
    """This process's environment with the mark by which the lab finds its own processes."""
    path = os.pathsep.join(filter(None, (str(lab.root), os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, MARK: lab.id, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def start(
    lab: Lab, name: str, argv: Sequence[str], cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> int:
    """Start `argv` detached, its output in `.lab/log/NAME.log`. The process id.

    `environ` is what it gets instead of this process's environment; the mark must be in it.
    """
    log = lab.state / "log" / f"{name}.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            argv, cwd=cwd or lab.root, env=dict(environ or environment(lab)), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    (lab.state / "log" / f"{name}.pid").write_text(f"{child.pid}\n")
    return child.pid


def start_module(lab: Lab, module: str, arguments: Sequence[str], prefix: Sequence[str] = (), called: str = "") -> None:
    """Start a module of the lab, behind `prefix`, and wait for the `listening` line it prints.

    `stop` and `running` know it by the last part of its name, unless it is `called` otherwise.
    """
    name = called or module.rpartition(".")[2]
    pid = start(lab, name, [*prefix, sys.executable, "-u", "-m", module, *arguments])
    log = lab.state / "log" / f"{name}.log"

    def listening() -> bool:
        text = log.read_text(errors="replace")
        if text.startswith("listening ") or "\nlistening " in text:
            return True
        if zombie(pid):
            raise LabError(f"{module} ended at once:\n{text[-2000:]}")
        return False

    until(listening, f"{module} to listen", 15, 0.02)


def start_github(lab: Lab) -> None:
    arguments = ["--state", str(lab.github_state), "--listen", f"{lab.address}:{lab.api_port}"]
    arguments += ["--repository", REPOSITORY, "--token-file", str(lab.token_file)]
    start_module(lab, GITHUB, arguments)
    registered = lab.runners()
    for host in lab.hosts:
        if host.name not in registered:
            lab.request(
                "POST", "/_lab/runners", {"name": host.name, "labels": list(host.labels), "group": "production"}
            )


def start_production(lab: Lab) -> None:
    arguments = ["--listen", lab.address, "--app", str(lab.app_port), "--database", str(lab.database_port)]
    arguments += ["--home", str(target.home(lab))]
    if lab.named:
        arguments += ["--certificate", str(tls.certificate_file(lab, "production"))]
    start_module(lab, PRODUCTION, arguments)


def start_names(lab: Lab) -> None:
    """The name server, at the switch: there nothing else can hold port 53."""
    arguments = ["--listen", f"{network.switch_address(lab.subnet)}:53", "--zone", str(names.zone_file(lab))]
    start_module(lab, NAMES, arguments, network.inside(lab, "switch"))


def start_front(lab: Lab) -> None:
    arguments = ["--listen", "0.0.0.0:443", "--certificate", str(tls.certificate_file(lab, "github"))]
    arguments += ["--to", f"{lab.address}:{lab.api_port}"]
    start_module(lab, FRONT, arguments, network.inside(lab, "switch"))


def start_monitor(lab: Lab) -> None:
    hosts = ",".join(host.name for host in lab.hosts)
    arguments = ["--listen", lab.address, "--state", str(monitor.directory(lab)), "--instances", hosts]
    start_module(lab, MONITOR, arguments)


def start_target(lab: Lab) -> None:
    start_machine(lab, target.NAME, target.home(lab))


def start_rehearsal(lab: Lab) -> None:
    start_machine(lab, target.REHEARSAL, rehearsal.home(lab), called="rehearsal")


def start_machine(lab: Lab, name: str, home: Path, called: str = "") -> None:
    home.mkdir(exist_ok=True)
    arguments = ["--listen", f"{lab.address}:{target.ports(lab)[name]}", "--home", str(home)]
    arguments += ["--host-key", str(target.key_file(lab, name))]
    for key in (lab.state / "ssh" / "id_ed25519", target.deploy_key(lab)):
        arguments += ["--authorized", f"{key}.pub"]
    start_module(lab, TARGET, arguments, called=called)


def start_site(lab: Lab) -> None:
    arguments = ["--listen", f"{lab.address}:{lab.site_port}", "--home", str(rehearsal.home(lab))]
    start_module(lab, SITE, arguments)


STARTS: dict[str, Callable[[Lab], None]] = {
    "github": start_github,
    "production": start_production,
    "names": start_names,
    "front": start_front,
    "monitor": start_monitor,
    "target": start_target,
    "rehearsal": start_rehearsal,
    "site": start_site,
}


def services(lab: Lab) -> tuple[str, ...]:
    """What runs beside the hosts of this lab."""
    return tuple(name for name in STARTS if lab.named or name not in ("names", "front"))


def start_all(lab: Lab) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: STARTS[name](lab), services(lab)))


def stop(lab: Lab, name: str, first: signal.Signals = signal.SIGTERM) -> None:
    """End what `start` called `name`, if it is still that process; harder if it takes 3 s."""
    try:
        pid = int((lab.state / "log" / f"{name}.pid").read_text())
    except FileNotFoundError:
        return
    if not ours(lab, pid):
        return
    os.kill(pid, first)
    deadline = time.monotonic() + 3
    while not zombie(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def ours(lab: Lab, pid: int) -> bool:
    """Whether the process with this id lives and carries the lab's mark: ids are used again."""
    try:
        return f"{MARK}={lab.id}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def running(lab: Lab, name: str) -> bool:
    try:
        return ours(lab, int((lab.state / "log" / f"{name}.pid").read_text()))
    except FileNotFoundError:
        return False


def free_ports(address: str, first: int, count: int) -> list[int]:
    """`count` ports from `first` on that can be bound at `address` now."""
    found: list[int] = []
    for port in range(first, first + 2000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise LabError(f"no {count} free ports at {address} from {first} on")
