"""Every fault by name, and breaking and healing with a memory of what is broken."""

from lab import (
    faults_context,
    faults_credentials,
    faults_drift,
    faults_drills,
    faults_egress,
    faults_github,
    faults_history,
    faults_machine,
    faults_masking,
    faults_names,
    faults_operate,
    faults_rehearsal,
    faults_resources,
    faults_runner,
    faults_runtime,
    faults_target,
    faults_workflows,
)
from lab.fault import Fault
from lab.faults_hosts import HOST_FAULTS
from lab.process import LabError
from lab.world import Lab


def collected() -> dict[str, Fault]:
    """Faults of the hosts, of the stand-in, of the context; a name is used once."""
    found: dict[str, Fault] = {}
    for fault in (
        *HOST_FAULTS,
        *faults_runner.FAULTS,
        *faults_github.FAULTS,
        *faults_history.FAULTS,
        *faults_workflows.FAULTS,
        *faults_masking.FAULTS,
        *faults_context.FAULTS,
        *faults_names.FAULTS,
        *faults_machine.FAULTS,
        *faults_resources.FAULTS,
        *faults_egress.FAULTS,
        *faults_drift.FAULTS,
        *faults_operate.FAULTS,
        *faults_credentials.FAULTS,
        *faults_target.FAULTS,
        *faults_rehearsal.FAULTS,
        *faults_drills.FAULTS,
        *faults_runtime.FAULTS,
    ):
        if fault.name in found:
            raise LabError(f"two faults are called {fault.name}")
        found[fault.name] = fault
    return found


FAULTS = collected()
OF_HOSTS = frozenset(
    fault.name
    for fault in (
        *HOST_FAULTS,
        *faults_runner.FAULTS,
        *faults_machine.FAULTS,
        *faults_resources.FAULTS,
        *faults_drift.FAULTS,
        *faults_runtime.FAULTS,
    )
)


def fault_named(name: str) -> Fault:
    if name not in FAULTS:
        import difflib

        near = difflib.get_close_matches(name, FAULTS, 1)
        raise LabError(f"no fault {name!r}" + (f"; did you mean {near[0]}?" if near else "; see: python -m lab faults"))
    return FAULTS[name]


def break_lab(lab: Lab, name: str) -> None:
    """Inject a fault and remember it, before and not after: half a fault needs healing too."""
    fault = fault_named(name)
    if lab.engine not in fault.engines:
        raise LabError(f"{name} needs engine {' or '.join(sorted(fault.engines))}; this lab is {lab.engine}")
    if fault.image and any(host.shape.image != fault.image for host in lab.hosts):
        raise LabError(f"{name} needs hosts with {fault.image}; try: python -m lab up --with {fault.image}")
    if name in lab.broken:
        raise LabError(f"{name} is in place already; try: python -m lab heal {name}")
    lab.broken.append(name)
    lab.save()
    fault.inject(lab)


def heal_lab(lab: Lab, name: str | None = None) -> list[str]:
    """Heal one fault, or all that are in place, the newest first. The names healed.

    Faults of the stand-in and of names go first: healing a host waits for the stand-in's word.
    """
    if name is not None:
        fault_named(name)
        names = [name] if name in lab.broken else []
    else:
        names = sorted(lab.broken, key=lambda n: (n in OF_HOSTS, -lab.broken.index(n)))
    for each in names:
        fault_named(each).heal(lab)
        lab.broken.remove(each)
        lab.save()
    return names
