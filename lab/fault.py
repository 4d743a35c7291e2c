"""A fault: a named way to break the lab that says which checks break and which become unknown."""

from collections.abc import Callable
from dataclasses import dataclass

from lab.world import Lab

BOTH = frozenset({"nspawn", "podman", "docker", "loopback"})
"""Whatever has hosts."""
SYSTEMD = frozenset({"nspawn", "podman", "docker"})
"""Whatever has hosts with a systemd of their own."""
NSPAWN = frozenset({"nspawn"})
LOOPBACK = frozenset({"loopback"})

WITHOUT_SERVICE = frozenset({"runner-health/service-running"})
"""Checks that are not applicable where a runner has no unit (engine `loopback`)."""


@dataclass(frozen=True)
class Fault:
    """One way to break the lab.

    Ids in `breaks` and `unknown` are `guarantee/slug` for production as a whole and
    `guarantee/slug[runner]` for one runner. `inject` returns once the fault can be seen,
    `heal` once health can be seen again.
    """

    name: str
    story: str
    breaks: frozenset[str]
    unknown: frozenset[str]
    engines: frozenset[str]
    inject: Callable[[Lab], None]
    heal: Callable[[Lab], None]
    host: str = ""
    """The host on whose disk, processes and links alone it acts: `reset` of that host mends it too."""
    image: str = ""
    """The image that its hosts must have, "" for the usual one: `up --with IMAGE`."""
    drill: tuple[str, ...] = ()
    """What it breaks of drills, as pytest is told which to run: ("-k", "failover/takeover"). They are run under no other
    faults, for each takes its time and acts on the lab."""

    def expected(self, engine: str) -> tuple[frozenset[str], frozenset[str]]:
        """(broken, unknown) ids on `engine`, less those that are not applicable there."""
        if engine != "loopback":
            return self.breaks, self.unknown
        return (
            frozenset(i for i in self.breaks if i.partition("[")[0] not in WITHOUT_SERVICE),
            frozenset(i for i in self.unknown if i.partition("[")[0] not in WITHOUT_SERVICE),
        )
