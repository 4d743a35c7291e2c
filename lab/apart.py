"""Hosts that cost this machine nothing but their login: each says again what it said to the gate, after as long as it took.

Ten real hosts answer on ten machines; those of a lab share the cores of whoever asks. What the gate itself needs for
ten is seen only where their answers are not computed at the same time, on the same cores.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lab.engine import on
from lab.process import LabError
from lab.world import Host, Lab

PLACE = "/run/apart"
CONFIG = "/etc/ssh/sshd_config.d/00-apart.conf"
RECORD = f"tee {PLACE}/script | sh | tee {PLACE}/answer"
NONCE = re.compile(r"^@([0-9a-f]+) hello ", re.MULTILINE)


def again(nonce: str, seconds: float) -> str:
    """What a host runs instead of the script it is sent: that of `nonce` was answered in so many seconds."""
    return rf"""
new=$(sed -n "s/.*@%s hello %s[^ ]* \([0-9a-f]*\) .*/\1/p; /^preflight\$/q")
sleep {seconds:.3f}
sed "s/^@{nonce} hello .*/@$new hello $(date +%s.%N)/; s/^@{nonce} /@$new /" {PLACE}/answer
exec cat >/dev/null
"""


def command(lab: Lab, host: Host, script: str) -> None:
    """From now on sshd runs this for whoever logs in."""
    install = f"""mkdir -p -m 1777 {PLACE}
cat >{PLACE}/run <<'RUN'
{script}
RUN
echo 'ForceCommand sh {PLACE}/run' >{CONFIG}
systemctl reload ssh"""
    on(lab, host.name, install)


def own(lab: Lab, host: Host) -> None:
    on(lab, host.name, f"rm -rf {CONFIG} {PLACE}; systemctl reload ssh")


@contextmanager
def apart(lab: Lab, hosts: Sequence[Host], ask: Callable[[Sequence[Host]], object]) -> Iterator[float]:
    """Within it the hosts answer so, each as it answered when it alone was asked by `ask`. Gives the longest of their times,
    in seconds, which is everybody's. Raises LabError where one did not answer."""
    try:
        took, nonces = 0.0, []
        for host in hosts:
            command(lab, host, RECORD)
            ask([host])
            said = on(lab, host.name, f"grep -a hello {PLACE}/answer; stat -c %.9Y {PLACE}/script {PLACE}/answer")
            found = NONCE.search(said)
            if not found:
                raise LabError(f"{host.name} gave no answer to be given again")
            began, ended = map(float, said.split()[-2:])
            took = max(took, ended - began)
            nonces.append(found[1])
        for host, nonce in zip(hosts, nonces, strict=True):
            command(lab, host, again(nonce, took))
        yield took
    finally:
        for host in hosts:
            own(lab, host)
