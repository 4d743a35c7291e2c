"""`python -m lab.need`: the sshd that the tests of SSH start on loopback, where this machine has none.

Installed only where no systemd is: elsewhere the package would start a server for all the world, which is not for a
test to decide. There it is said what is missing, and those tests are skipped.
"""

import sys
from pathlib import Path

from lab.engine import can_install, install, missing, packages_for
from lab.process import LabError


def main() -> int:
    packages = packages_for(missing("loopback"))
    if not packages:
        return 0
    if Path("/run/systemd/system").exists() or not can_install():
        print(
            f"tests of SSH will be skipped; to run them: sudo apt-get install -y {' '.join(packages)}", file=sys.stderr
        )
        return 0
    try:
        install(packages, lambda text: print(text, flush=True))
    except LabError as error:
        print(f"tests of SSH will be skipped: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
