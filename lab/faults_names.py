"""Faults of the hosts' name service. The lab's own server gives the wrong answers; nothing on a host is touched."""

from collections.abc import Callable

from lab import names
from lab.fault import NSPAWN, Fault
from lab.faults_hosts import NOTHING, PRIMARY, health
from lab.names import Trouble
from lab.world import Lab


def spoil(name: str, mode: str) -> Callable[[Lab], None]:
    """The primary, and nobody else, gets answers of this mode for every name."""

    def inject(lab: Lab) -> None:
        names.trouble(lab, name, Trouble(mode, lab.host(PRIMARY).address))

    return inject


def mend(name: str) -> Callable[[Lab], None]:
    def heal(lab: Lab) -> None:
        names.trouble(lab, name, None)

    return heal


def of(name: str, mode: str, story: str) -> Fault:
    return Fault(
        name,
        story,
        health(PRIMARY, "reaches-production", "reaches-github"),
        NOTHING,
        NSPAWN,
        spoil(name, mode),
        mend(name),
    )


FAULTS: tuple[Fault, ...] = (
    of("dns-nxdomain", "nxdomain", "The primary's name server says that no name exists."),
    of("dns-servfail", "servfail", "The primary's name server has lost its own upstream, and says so."),
    of("dns-silent", "drop", "The primary's name server does not answer."),
    of("dns-wrong-address", "wrong", "The primary is given an old address for every name, where nobody lives."),
)
