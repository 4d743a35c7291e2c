"""The machine that production runs on, as far as a deploy sees it: releases, the link to the live one, and a lock, over SSH.

    python -m lab.target --listen ADDRESS:PORT --host-key FILE --authorized FILE --home DIRECTORY

It is the lab's own, and no host of its own: a small SSH server that runs what it is asked with `sh`, as whoever started
the lab, for the one key that the gate has. What it serves are files under `.lab/target`.
"""

import argparse
import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, OPEN_SUCCEEDED

from lab.world import REPOSITORY, Lab, make_key, write

NAME = "production"
"""The name by which ssh is asked for it."""
CHUNK = 1 << 16


def home(lab: Lab) -> Path:
    return lab.state / "target"


def releases(lab: Lab) -> Path:
    return home(lab) / "releases"


def current(lab: Lab) -> Path:
    return home(lab) / "current"


def lock(lab: Lab) -> Path:
    return home(lab) / "deploy.lock"


def key_file(lab: Lab) -> Path:
    return lab.state / "ssh" / f"host_{NAME}"


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
    place = releases(lab)
    place.mkdir(parents=True, exist_ok=True)
    shas = deployed(lab)
    for sha in shas:
        (place / sha).mkdir(exist_ok=True)
        write(place / sha / ".complete", "")
    link = current(lab)
    link.unlink(missing_ok=True)
    link.symlink_to(place / shas[0])
    lock(lab).unlink(missing_ok=True)


def let_in(lab: Lab) -> None:
    """Its host key, and what the client has to know of it."""
    make_key(key_file(lab), NAME)
    kind, key = key_file(lab).with_suffix(".pub").read_text().split()[:2]
    known = lab.state / "known_hosts"
    write(known, f"{known.read_text()}[{lab.address}]:{lab.target_port} {kind} {key}\n", 0o600)
    entry = f"""
Host {NAME}
  HostName {lab.address}
  Port {lab.target_port}
  User deploy
  IdentityFile "{lab.state / "ssh" / "id_ed25519"}"
  IdentitiesOnly yes
  UserKnownHostsFile "{known}"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
"""
    write(lab.ssh_config, lab.ssh_config.read_text() + entry, 0o600)


class Door(paramiko.ServerInterface):
    """Lets the one key in, and runs what it asks."""

    def __init__(self, allowed: bytes, place: Path) -> None:
        self._allowed = allowed
        self._place = place

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL if key.asbytes() == self._allowed else AUTH_FAILED

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
    parser = argparse.ArgumentParser(prog="python -m lab.target", description="The machine of the lab's production.")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--host-key", required=True, type=Path, metavar="FILE")
    parser.add_argument("--authorized", required=True, type=Path, metavar="FILE")
    parser.add_argument("--home", required=True, type=Path, metavar="DIRECTORY")
    given = parser.parse_args()
    # Its children are waited for where they are made; who goes away first is nobody's fault.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    host, _, port = given.listen.rpartition(":")
    allowed = base64.b64decode(given.authorized.read_text().split()[1])
    host_key = paramiko.Ed25519Key.from_private_key_file(str(given.host_key))
    with socket.create_server((host, int(port))) as server:
        print(f"listening {given.listen}", flush=True)
        while True:
            client, _address = server.accept()
            threading.Thread(target=serve, args=(client, host_key, Door(allowed, given.home)), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
