"""What a lab has with an engine for containers: named, found and removed by its label."""

from lab.process import run
from lab.world import Host, Lab

ENGINES = ("podman", "docker")


def name(lab: Lab, host: Host) -> str:
    return f"{lab.prefix}-{host.name}"


def label(lab: Lab) -> str:
    return f"runner-preflight-lab={lab.id}"


def listed(lab: Lab, what: str, *options: str) -> tuple[str, ...]:
    said = run([lab.engine, what, "ls", "--quiet", "--filter", f"label={label(lab)}", *options], check=False)
    return tuple(said.stdout.split())


def find(lab: Lab) -> tuple[str, ...]:
    if lab.engine not in ENGINES:
        return ()
    return (*listed(lab, "container", "--all"), *listed(lab, "network"))


def remove(lab: Lab) -> None:
    """Containers first: a network in use stays."""
    if lab.engine not in ENGINES:
        return
    if found := listed(lab, "container", "--all"):
        run([lab.engine, "rm", "--force", "--volumes", *found], seconds=120)
    if found := listed(lab, "network"):
        run([lab.engine, "network", "rm", *found])
