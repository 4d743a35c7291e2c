"""The lab's `Runner.Listener`: what keeps a runner online, without the jobs.

It is installed as the file `run` in the runner's directory. `bin/Runner.Listener` there is a
Python interpreter under that name, so that `Runner.Listener run --startuptype service` executes
this file, and the process list reads as on a real runner: `comm`, command line and `/proc/PID/exe`.

Identity comes from where the real one keeps it: `.runner` (name, server) and
`.credentials_rsaparams` (in the lab, key `d` holds the secret of the stand-in).
The log has the real one's format (`_diag/Runner_YYYYMMDD-HHMMSS-utc.log`, lines `[UTC LVL Source] text`).
"""

import http.client
import json
import os
import re
import signal
import sys
import time
import urllib.parse
from pathlib import Path
from types import FrameType

POLL_SECONDS = 1.0
ANSWER_SECONDS = 3.0
"""The stand-in calls a runner offline after 6 s of silence; one lost answer must not be enough."""


def stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def now() -> str:
    """Universal time as .NET's `{0:u}` prints it, e.g. `2026-08-20 10:00:02Z`."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())


class Log:
    """One listener's `_diag` log, and its standard output."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        name = time.strftime("Runner_%Y%m%d-%H%M%S-utc.log", time.gmtime())
        self._file = (directory / name).open("a", encoding="utf-8")

    def trace(self, source: str, text: str, level: str = "INFO") -> None:
        # `ERR` is padded to four letters upstream, and readers' patterns count on it.
        self._file.write(f"[{now()} {level:<4} {source}] {text}\n")
        self._file.flush()

    def say(self, text: str) -> None:
        print(text, flush=True)
        self.trace("Terminal", f"WRITE LINE: {text}")


class Server:
    """A kept-alive connection to the stand-in, as the real one holds one to the broker."""

    def __init__(self, url: str, name: str, secret: str, version: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._path = f"/_lab/runners/{urllib.parse.quote(name)}/poll"
        self._secret = secret
        self._body = json.dumps({"version": version})
        self._connection: http.client.HTTPConnection | None = None

    def poll(self) -> int:
        """Say that this runner lives. The answer's status; OSError or HTTPException when there is none."""
        headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
        connection = self._connection or http.client.HTTPConnection(*self._address, timeout=ANSWER_SECONDS)
        self._connection = None
        connection.request("POST", self._path, self._body, headers)
        answer = connection.getresponse()
        answer.read()
        self._connection = connection
        return answer.status


def listen(root: Path, log: Log) -> None:
    """Poll until told to stop."""
    # The runner writes its JSON with a byte order mark.
    settings = json.loads((root / ".runner").read_text(encoding="utf-8-sig"))
    secret = json.loads((root / ".credentials_rsaparams").read_text(encoding="utf-8-sig"))["d"]
    found = re.search(r"bin\.([0-9.]+)$", os.path.realpath(root / "bin"))
    version = found.group(1) if found else "0.0.0"
    log.trace("Listener", "Runner is built for Linux (X64) - linux-x64.")
    log.trace("Listener", f"Version: {version}")
    log.trace("Listener", f"Args: {' '.join(sys.argv[1:])}")
    # The real one never writes this line to its log.
    print("\n√ Connected to GitHub\n", flush=True)
    log.say(f"Current runner version: '{version}'")
    log.say(f"{now()}: Listening for Jobs")
    server = Server(settings["serverUrlV2"], settings["agentName"], secret, version)
    complained = False
    while True:
        try:
            status = server.poll()
            if status >= 400 and not complained:
                log.trace("BrokerServer", f"Runner poll was answered with {status}.", "WARN")
                complained = True
        except (OSError, http.client.HTTPException) as error:
            # Upstream prints this once per streak, and never takes it back in the poll loop.
            if not complained:
                log.say(f"{now()}: Runner connect error: {error}. Retrying until reconnected.")
                complained = True
        time.sleep(POLL_SECONDS)


def main() -> int:
    root = Path.cwd()
    # A shell starts background processes with SIGINT ignored; runsvc.sh forwards SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    log = Log(root / "_diag")
    try:
        listen(root, log)
    except KeyboardInterrupt:
        log.say("Exiting...")
        log.trace("Listener", "Runner execution has finished with return code 0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
