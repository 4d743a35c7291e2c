"""A machine that is deployed to, as far as a deploy sees it: releases, the link to the live one, and a lock, over SSH.

    python -m lab.target --listen ADDRESS:PORT --host-key FILE --authorized FILE … --home DIRECTORY

It is the lab's own, and no host of its own: a small SSH server that runs what it is asked with `sh`, as whoever started
the lab, for the gate's key and that of the deploys. There are two: production's, whose files are under `.lab/target`, and
the one that drills rehearse on (`lab/rehearsal.py`).
"""

import argparse
import base64
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, OPEN_SUCCEEDED

from lab import release, tls
from lab.world import REPOSITORY, Lab, make_key, write

NAME, REHEARSAL = "production", "rehearsal"
"""The names by which ssh is asked for them."""
CHUNK = 1 << 16


def home(lab: Lab) -> Path:
    return lab.state / "target"


def releases(lab: Lab) -> Path:
    return home(lab) / "releases"


def current(lab: Lab) -> Path:
    return home(lab) / "current"


def lock(lab: Lab) -> Path:
    return home(lab) / "deploy.lock"


def key_file(lab: Lab, name: str = NAME) -> Path:
    return lab.state / "ssh" / f"host_{name}"


def deploy_key(lab: Lab) -> Path:
    """The private key that the deploys of the lab's repository have, as the secret DEPLOY_KEY."""
    return lab.state / "ssh" / "deploy_ed25519"


def deployed(lab: Lab) -> list[str]:
    """The commits that production ran with success, newest first, each once: the live one, then the last good one."""
    found: list[str] = []
    for deployment in lab.request("GET", f"/repos/{REPOSITORY}/deployments?environment=production&per_page=100"):
        statuses = lab.request("GET", f"/repos/{REPOSITORY}/deployments/{deployment['id']}/statuses?per_page=100")
        if deployment["sha"] not in found and any(status["state"] == "success" for status in statuses):
            found.append(deployment["sha"])
        if len(found) == 3:
            break
    return found


def make(lab: Lab) -> None:
    """The directories as three deploys left them; what was there before goes."""
    release.stand(home(lab), deployed(lab), asking(lab))


def asking(lab: Lab) -> str:
    """The command that asks production which version answers."""
    if not lab.named:
        return f"curl -fsS -m 2 http://{lab.address}:{lab.app_port}/version"
    name = f"production.lab:{lab.app_port}"
    trust = shlex.quote(str(tls.authority_file(lab)))
    return f"curl -fsS -m 2 --cacert {trust} --resolve {name}:{lab.address} https://{name}/version"


def let_in(lab: Lab) -> None:
    """Host keys, what the client has to know of these machines, and the key that deploys."""
    make_key(deploy_key(lab), "deploy")
    for name, port in ports(lab).items():
        make_key(key_file(lab, name), name)
        known = lab.state / "known_hosts"
        write(known, known.read_text() + known_host(lab, name), 0o600)
        entry = f"""
Host {name}
  HostName {lab.address}
  Port {port}
  User deploy
  IdentityFile "{lab.state / "ssh" / "id_ed25519"}"
  IdentitiesOnly yes
  UserKnownHostsFile "{known}"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
"""
        write(lab.ssh_config, lab.ssh_config.read_text() + entry, 0o600)


def ports(lab: Lab) -> dict[str, int]:
    """Where each of the two takes SSH, by the name that ssh is asked for."""
    return {NAME: lab.target_port, REHEARSAL: lab.rehearsal_port}


def known_host(lab: Lab, name: str) -> str:
    kind, key = key_file(lab, name).with_suffix(".pub").read_text().split()[:2]
    return f"[{lab.address}]:{ports(lab)[name]} {kind} {key}\n"


def runner_ssh(lab: Lab) -> tuple[str, str]:
    """What the runner's user has to know to deploy there: its ssh config, and its known hosts. The key comes with the job."""
    config = "".join(
        f"Host {name}\n  HostName {lab.address}\n  Port {port}\n  User deploy\n" for name, port in ports(lab).items()
    )
    return config, "".join(known_host(lab, name) for name in ports(lab))


class Door(paramiko.ServerInterface):
    """Lets some keys in, and runs what they ask."""

    def __init__(self, allowed: frozenset[bytes], place: Path) -> None:
        self._allowed = allowed
        self._place = place

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL if key.asbytes() in self._allowed else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=execute, args=(channel, command.decode(), self._place), daemon=True).start()
        return True


def execute(channel: paramiko.Channel, command: str, place: Path) -> None:
    """Run a command, both ways at once; the end of its input is the client's end, or that of the connection."""
    child = subprocess.Popen(
        ["/bin/sh", "-c", command], cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    into, out, err = child.stdin, child.stdout, child.stderr
    assert into is not None
    assert out is not None
    assert err is not None

    def feed() -> None:
        with contextlib.suppress(OSError, EOFError):
            while data := channel.recv(CHUNK):
                into.write(data)
                into.flush()
        with contextlib.suppress(OSError):
            into.close()

    def drain(source: Any, send: Any) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(source.fileno(), CHUNK):
                send(data)

    threading.Thread(target=feed, daemon=True).start()
    errors = threading.Thread(target=drain, args=(err, channel.sendall_stderr), daemon=True)
    errors.start()
    drain(out, channel.sendall)
    errors.join()
    code = child.wait()
    with contextlib.suppress(OSError, EOFError):
        channel.send_exit_status(code if code >= 0 else 128 - code)
        channel.close()


def serve(client: socket.socket, host_key: paramiko.PKey, door: Door) -> None:
    transport = paramiko.Transport(client)
    transport.add_server_key(host_key)
    with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
        transport.start_server(server=door)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.target", description="A machine that the lab deploys to.")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--host-key", required=True, type=Path, metavar="FILE")
    parser.add_argument("--authorized", required=True, type=Path, action="append", metavar="FILE")
    parser.add_argument("--home", required=True, type=Path, metavar="DIRECTORY")
    given = parser.parse_args()
    # Its children are waited for where they are made; who goes away first is nobody's fault.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    host, _, port = given.listen.rpartition(":")
    allowed = frozenset(base64.b64decode(file.read_text().split()[1]) for file in given.authorized)
    host_key = paramiko.Ed25519Key.from_private_key_file(str(given.host_key))
    with socket.create_server((host, int(port))) as server:
        print(f"listening {given.listen}", flush=True)
        while True:
            client, _address = server.accept()
            threading.Thread(target=serve, args=(client, host_key, Door(allowed, given.home)), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
