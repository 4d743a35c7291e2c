"""The power switch of a host (engine `nspawn`): off without a word, on again with the same disk, and a restart."""

from lab import distance, leftovers
from lab.engine import engine_named, on
from lab.nspawn import Nspawn, nspawn_files
from lab.process import LabError, until
from lab.world import Host, Lab


def engine_of(lab: Lab) -> Nspawn:
    engine = engine_named(lab.engine)
    if not isinstance(engine, Nspawn):
        raise LabError(f"a power switch needs engine nspawn; this lab is {lab.engine}")
    return engine


def power_off(lab: Lab, host: Host) -> None:
    """Cut the power: every process ends where it stands, and the address is gone."""
    engine_of(lab)
    leftovers.kill_all(lab, within=host.name)
    clear(lab, host)
    distance.link(lab, host, False)


def power_on(lab: Lab, host: Host) -> None:
    """Boot from the disk as it was left, until the gate's user can log in.

    Whatever of the host still runs ends first: a power cut that was itself cut short left it half alive.
    """
    engine = engine_of(lab)
    leftovers.kill_all(lab, within=host.name)
    clear(lab, host)
    lab.fell_silent(host.name)
    distance.link(lab, host, True)
    engine.boot(lab, host)
    engine.wait(lab, host)


def reboot(lab: Lab, host: Host) -> None:
    """`systemctl reboot`, as an administrator types it; nspawn ends with the system, and is started again."""
    engine = engine_of(lab)
    on(lab, host.name, "systemctl --no-block reboot")
    until(lambda: not engine.alive(lab, host), f"{host.name} to go down", 40, 0.05)
    leftovers.kill_all(lab, within=host.name)
    clear(lab, host)
    lab.fell_silent(host.name)
    engine.boot(lab, host)
    engine.wait(lab, host)


def on_again(lab: Lab, host: Host) -> None:
    """See a reboot through that was begun: a host that is going down is waited for, one that is down is started."""
    engine = engine_of(lab)

    def settled() -> bool:
        if not engine.alive(lab, host):
            return True
        return on(lab, host.name, "systemctl is-system-running || true", check=False).strip() not in ("stopping", "")

    until(settled, f"{host.name} to go down or to stay", 40, 0.1)
    if not engine.alive(lab, host):
        power_on(lab, host)


def clear(lab: Lab, host: Host) -> None:
    """What the dead nspawn left would keep the next one from starting."""
    for file in nspawn_files(lab, host):
        file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
