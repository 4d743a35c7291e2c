"""What is the same in every host that has a systemd of its own, whichever engine runs it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from lab.process import LabError, run
from lab.world import Host, Lab


class Systemd(ABC):
    """The part of an engine that acts inside such a host."""

    @abstractmethod
    def command(self, lab: Lab, host: Host, argv: Sequence[str]) -> list[str]:
        """See `Engine.command`."""

    def sshd(self, lab: Lab, host: Host, verb: str) -> None:
        main = "$(systemctl show --property=MainPID --value ssh)"
        scripts = {"freeze": f"kill -STOP {main}", "thaw": f"kill -CONT {main}"}
        self.administer(lab, host, scripts.get(verb, f"systemctl {verb} ssh"))

    def present_key(self, lab: Lab, host: Host, key: Path) -> None:
        # Through the host and not from outside: an overlay must not be written below its mount.
        place = "/etc/ssh/ssh_host_ed25519_key"
        script = (
            f"umask 077; cat > {place} <<'END'\n{key.read_text()}END\n"
            f"cat > {place}.pub <<'END'\n{key.with_suffix('.pub').read_text()}END\n"
            "systemctl reload ssh\n"
        )
        self.administer(lab, host, script)

    def listener(self, lab: Lab, host: Host, alive: bool) -> None:
        raise LabError(f"the listener of {host.name} belongs to its service")

    def administer(self, lab: Lab, host: Host, script: str) -> None:
        run(self.command(lab, host, ["/bin/sh", "-eu"]), script)
