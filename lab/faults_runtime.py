"""Faults of the container runtime that jobs run in. They need hosts that have one: images `docker` and `podman`."""

from collections.abc import Callable
from functools import partial

from lab import world
from lab.engine import on
from lab.fault import NSPAWN, Fault
from lab.faults_context import write_again
from lab.faults_hosts import NOTHING, PRIMARY, health, unit
from lab.process import until
from lab.world import Lab

DEAD = health(PRIMARY, "container-runtime")
ASKED = {"docker": "docker version", "podman": "podman info"}


def declare(kind: str) -> Callable[[Lab], None]:
    """The context wants jobs to run in it, and allows the runner's user the group of docker's socket."""

    def act(lab: Lab) -> None:
        before, hosts, after = lab.context_file.read_text("utf-8").partition("\nhosts:\n")
        groups = "  groups: [docker]\n" if kind == "docker" else ""
        for host in lab.hosts:
            until(partial(answers, lab, kind, host.name), f"{kind} of {host.name} to answer", 60, 0.2)
        world.write(lab.context_file, f"{before}{hosts}  runtime: {kind}\n{groups}{after}")

    return act


def answers(lab: Lab, kind: str, runner: str = PRIMARY) -> bool:
    said = on(lab, runner, f"runuser -u runner -- timeout 5 {ASKED[kind]} >/dev/null 2>&1 && echo yes", check=False)
    return said.strip() == "yes"


def then(kind: str, script: str) -> Callable[[Lab], None]:
    """Declared, and then a script on the primary, as root."""

    def act(lab: Lab) -> None:
        declare(kind)(lab)
        on(lab, PRIMARY, script)

    return act


def mended(kind: str, script: str = "") -> Callable[[Lab], None]:
    """The script undoes it; the runtime answers again, and nobody asks for it any more."""

    def act(lab: Lab) -> None:
        on(lab, PRIMARY, script)
        until(lambda: answers(lab, kind), f"{kind} of {PRIMARY} to answer", 60, 0.2)
        write_again(lab)

    return act


def give_group_late(lab: Lab) -> None:
    """The listener starts without the group, and its user gets it afterwards."""
    declare("docker")(lab)
    on(lab, PRIMARY, f"gpasswd -d runner docker >/dev/null; systemctl restart {unit(lab, PRIMARY)}")
    lab.wait_online(PRIMARY)
    on(lab, PRIMARY, "usermod -aG docker runner")


def restart_listener(lab: Lab) -> None:
    on(lab, PRIMARY, f"usermod -aG docker runner; systemctl restart {unit(lab, PRIMARY)}")
    lab.wait_online(PRIMARY)
    write_again(lab)


def away(path: str) -> tuple[str, str]:
    return f"mv {path} {path}.away", f"if [ -e {path}.away ]; then mv {path}.away {path}; fi"


TAKEN, BACK = away("/usr/bin/crun")
FAULTS: tuple[Fault, ...] = (
    Fault("docker-answers", "Jobs run in docker, which answers on both hosts: nothing is wrong.",
          NOTHING, NOTHING, NSPAWN, declare("docker"), mended("docker"), PRIMARY, image="docker"),
    Fault("docker-dead", "Docker's daemon was stopped on the primary, and its socket with it.",
          DEAD, NOTHING, NSPAWN, then("docker", "systemctl stop docker.socket docker"),
          mended("docker", "systemctl start docker.socket docker"), PRIMARY, image="docker"),
    Fault("docker-hangs", "Docker's daemon on the primary takes connections and answers none.",
          DEAD, NOTHING, NSPAWN, then("docker", "kill -STOP $(pidof dockerd)"),
          mended("docker", "kill -CONT $(pidof dockerd)"), PRIMARY, image="docker"),
    Fault("docker-group-late", "The primary's user was put into the group docker, and its listener was never restarted.",
          DEAD, NOTHING, NSPAWN, give_group_late, restart_listener, PRIMARY, image="docker"),
    Fault("podman-answers", "Jobs run in podman, which answers on both hosts: nothing is wrong.",
          NOTHING, NOTHING, NSPAWN, declare("podman"), mended("podman"), PRIMARY, image="podman"),
    Fault("podman-dead", "The OCI runtime that podman starts containers with was removed from the primary.",
          DEAD, NOTHING, NSPAWN, then("podman", TAKEN), mended("podman", BACK), PRIMARY, image="podman"),
)  # fmt: skip
