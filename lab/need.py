"""`python -m lab.need [all]`: what the suite's own tests look through, and this machine has not.

By itself the sshd that the tests of SSH start on loopback; with `all` also what `make test-all` and CI look through: a
second shell, a tracer, a browser, and the real Prometheus, Alertmanager and node_exporter.

A package of a server is installed only where no systemd is, or where CI says that the machine is thrown away: elsewhere it
would start a server for all the world, which is not for a test to decide. What stays away is said, and its tests are skipped.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.engine import APT, can_install, install, missing, which
from lab.process import LabError

TOOLS = {
    "busybox": "busybox",
    "strace": "strace",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "visudo": "sudo",
}
"""Commands that some tests look through, and the Debian package that has each."""
SERVERS = frozenset({"openssh-server", "prometheus", "prometheus-alertmanager", "prometheus-node-exporter"})


def wanted(everything: bool) -> tuple[str, ...]:
    """The packages that would bring what is not here."""
    packages = {APT[command] for command in missing("loopback")}
    if everything:
        packages |= {package for command, package in TOOLS.items() if which(command) is None}
    return tuple(sorted(packages))


def allowed(packages: Sequence[str], *, systemd: bool, thrown_away: bool) -> tuple[str, ...]:
    """Those of them that a test may install on such a machine."""
    return tuple(p for p in packages if p not in SERVERS or thrown_away or not systemd)


def bring(packages: Sequence[str]) -> tuple[str, ...]:
    """Install them, all at once or else one by one: no system has all of these names. Those that did not come."""
    try:
        install(packages, lambda text: print(text, flush=True))
    except LabError as error:
        if len(packages) == 1:
            print(error, file=sys.stderr)
            return tuple(packages)
        return tuple(name for package in packages for name in bring([package]))
    return ()


def main(argv: Sequence[str]) -> int:
    packages = wanted("all" in argv)
    systemd = Path("/run/systemd/system").exists()
    mine = allowed(packages, systemd=systemd, thrown_away=bool(os.environ.get("CI"))) if can_install() else ()
    away = tuple(p for p in packages if p not in mine) + (bring(mine) if mine else ())
    if away:
        print(
            f"some tests will be skipped, and say so; to run them: sudo apt-get install -y {' '.join(away)}",
            file=sys.stderr,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
