"""The lab's `Runner.Listener`: registers a session, polls, hands jobs to a Worker, and dies as the real one does.

`bin/Runner.Listener` on a host is a Python interpreter under that name, and the file `run` in the runner's directory
calls this module: `Runner.Listener run --startuptype service` reads in the process list as on a real runner.

Identity comes from where the real one keeps it: `.runner` (name, server) and `.credentials_rsaparams` (in the lab, key
`d` holds the secret of the stand-in). What it logs and how it ends is runner-host.md parts 3 and 4.
"""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from lab.agent import update
from lab.agent.build import version_of, work_of
from lab.agent.diaglog import Log, now
from lab.agent.dispatcher import Dispatcher
from lab.agent.wire import HOLD_SECONDS, Trouble, Wire, quoted

SUCCESS, TERMINATED, RETRYABLE, SESSION_CONFLICT, DEPRECATED = 0, 1, 2, 5, 7
"""Exit codes (runner-host.md 3.3). 3 and 4 are self-updates, 6 never leaves the process."""

POLL_SECONDS = 1.0
"""Between two polls, unless the session says otherwise."""
SESSION_RETRY_SECONDS = 30.0
CONFLICT_SECONDS = 240.0
SKEW_SECONDS = 1800.0
MOST_ERRORS = 10
"""Errors of the poll loop until it gives up. An empty poll does not reset them: upstream's does not either."""

IDENTITY = (".runner", ".credentials", ".credentials_rsaparams")
DELETED = (
    "Failed to create a session. The runner registration has been deleted from the server, please re-configure. "
    "Runner registrations are automatically deleted for runners that have not connected to the service recently."
)


class End(Exception):
    """The listener's end: its exit code, and the last words for a person."""

    def __init__(self, code: int, words: str = "") -> None:
        super().__init__(words)
        self.code = code
        self.words = words


def load_env(text: str) -> dict[str, str]:
    """`.env` as the Listener reads it (runner-host.md 1.4): split at the first `=`, nothing trimmed, no comments, no quotes."""
    found = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and key:
            found[key] = value
    return found


def apply_env(root: Path) -> None:
    try:
        values = load_env((root / ".env").read_text("utf-8"))
    except FileNotFoundError:
        return
    for key, value in values.items():
        if value:
            os.environ[key] = value
        else:
            os.environ.pop(key, None)


def read_json(path: Path) -> dict[str, Any]:
    """The runner writes its JSON with a byte order mark."""
    found = json.loads(path.read_text(encoding="utf-8-sig"))
    return found if isinstance(found, dict) else {}


def readable(directory: Path) -> Path | None:
    """The first directory from here up that may not be listed: the real one wants `r` on each, not only `x`."""
    for place in (directory, *directory.parents):
        try:
            os.listdir(place)
        except OSError:
            return place
    return None


@dataclass
class Listener:
    root: Path
    log: Log
    stop: threading.Event
    version: str

    def configure(self) -> None:
        """Raises End when this directory holds no registration that can be read."""
        blocked = readable(self.root)
        if blocked is not None:
            raise End(
                TERMINATED,
                f"An error occurred: Permission to read the directory contents is required for '{blocked}' and each directory up the hierarchy. Access to the path '{blocked}' is denied.",
            )
        if not (self.root / ".runner").exists():
            raise End(TERMINATED, "An error occurred: Not configured. Run config.(sh/cmd) to configure the runner.")
        self.settings = {key.casefold(): value for key, value in read_json(self.root / ".runner").items()}
        self.name = str(self.settings["agentname"])
        if not (self.root / ".credentials").exists():
            raise End(TERMINATED, "An error occurred: Credentials not stored. Must reconfigure.")
        self.client = str(read_json(self.root / ".credentials").get("data", {}).get("clientId"))
        try:
            self.secret = str(read_json(self.root / ".credentials_rsaparams")["d"])
        except FileNotFoundError:
            place = self.root / ".credentials_rsaparams"
            raise End(RETRYABLE, f"An error occurred: RSA key file {place} was not found") from None
        self.wire = Wire(str(self.settings["serverurlv2"]), self.secret)

    def open_session(self) -> None:
        """Until there is a session. Raises End where the real one gives up."""
        began = time.monotonic()
        complained = False
        while not self.stop.is_set():
            try:
                status, body = self.wire.post(
                    f"runners/{quoted(self.name)}/session", {"version": self.version, "clock": time.time()}
                )
            except Trouble as error:
                self.log.trace("BrokerMessageListener", "Catch exception during create session.", "ERR")
                if not complained:
                    self.log.complain(f"{now()}: Runner connect error: {error}. Retrying until reconnected.")
                complained = True
                self.stop.wait(SESSION_RETRY_SECONDS)
                continue
            if status == 201:
                self.session = str(body["session"])
                self.pace = float(body.get("poll", POLL_SECONDS))
                self.hold = min(HOLD_SECONDS, float(body.get("hold", 0.0)))
                if complained:
                    self.log.say(f"{now()}: Runner reconnected.")
                return
            self.refused(status, body, time.monotonic() - began)
            complained = True
            self.stop.wait(SESSION_RETRY_SECONDS)

    def refused(self, status: int, body: dict[str, Any], seconds: float) -> None:
        """What a refused session means. Raises End unless it is worth another try."""
        self.log.trace("BrokerMessageListener", "Catch exception during create session.", "ERR")
        if status == 403:
            said = f"An error occurred: {body.get('message')}"
            wanted = os.environ.get("ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE", "").casefold()
            raise End(DEPRECATED if wanted in ("1", "true") else TERMINATED, said)
        if status in (400, 404):
            # A clock that is off gets the same answer, and the same words: issue 4648 of the runner.
            words = f"Registration {self.client} was not found."
            self.log.trace(
                "BrokerMessageListener", f"GitHub.Services.OAuth.VssOAuthTokenRequestException: {words}", "ERR"
            )
            self.log.more("   at GitHub.Services.OAuth.VssOAuthTokenProvider.OnGetTokenAsync(IssuedToken failedToken)")
            self.log.complain(DELETED)
            raise End(TERMINATED)
        self.log.complain("A session for this runner already exists.")
        if seconds >= CONFLICT_SECONDS:
            self.log.trace(
                "BrokerMessageListener",
                f"Stop retry on SessionConflictException after retried for {seconds:.0f} seconds.",
            )
            raise End(SESSION_CONFLICT)

    def listen(self) -> None:
        """Poll until told to stop. Raises End."""
        self.open_session()
        self.log.say(f"Current runner version: '{self.version}'")
        self.log.say(f"{now()}: Listening for Jobs")
        dispatcher = Dispatcher(
            self.root, self.log, self.name, str(self.settings["serverurlv2"]), self.secret, self.wire.interrupt
        )
        errors = 0
        try:
            while not self.stop.is_set():
                try:
                    status, body = self.wire.post(
                        f"runners/{quoted(self.name)}/poll",
                        {"version": self.version, "session": self.session, "hold": self.hold},
                        self.hold,
                    )
                except Trouble as error:
                    if self.stop.is_set() or self.new_status(dispatcher):
                        continue
                    errors += 1
                    self.trouble(error, errors)
                    self.stop.wait(min(errors, 5) * self.pace)
                    continue
                self.heard(status, body, dispatcher)
                self.new_status(dispatcher)
                # A poll that was held and brought nothing is followed by the next at once.
                if body or not self.hold:
                    self.stop.wait(self.pace)
        finally:
            dispatcher.give_up()
        self.leave()

    def new_status(self, dispatcher: Dispatcher) -> bool:
        """Whether a job has ended since, which ends the poll that waits: the next one tells the new status."""
        ended = dispatcher.ended()
        if ended:
            self.log.trace(
                "BrokerMessageListener",
                "Get messages has been cancelled using local token source. Continue to get messages with new status.",
            )
        return ended

    def heard(self, status: int, body: dict[str, Any], dispatcher: Dispatcher) -> None:
        """One answer to a poll. Raises End when the registration is gone."""
        if status == 404:
            self.log.complain("The runner no longer exists on the server. Cleaning up local configuration.")
            for name in IDENTITY:
                (self.root / name).unlink(missing_ok=True)
            raise End(SUCCESS)
        if status == 409:
            self.log.trace("BrokerMessageListener", "Runner session is not active. Create a new session.", "WARN")
            self.open_session()
        elif "update" in body and not dispatcher.busy():
            update.begin(self.root, work_of(self.root), self.log, str(body["update"]))
            self.leave()
            raise End(update.UPDATING)
        elif "cancel" in body:
            dispatcher.cancel(int(body["cancel"]))
        elif "job" in body:
            dispatcher.take(int(body["job"]["id"]), str(body["job"]["request"]))

    def trouble(self, error: BaseException, errors: int) -> None:
        self.log.trace("BrokerMessageListener", "Catch exception during get next message.", "ERR")
        self.log.trace("BrokerMessageListener", f"{type(error).__name__}: {error}", "ERR")
        if errors >= MOST_ERRORS:
            raise End(RETRYABLE, f"An error occurred: {error}")
        # Upstream prints this once per streak, and never takes it back in the poll loop.
        if errors == 1:
            self.log.complain(f"{now()}: Runner connect error: {error}. Retrying until reconnected.")

    def leave(self) -> None:
        try:
            self.wire.post(f"runners/{quoted(self.name)}/leave", {"session": self.session})
        except Trouble:
            self.log.trace("BrokerMessageListener", "Catch exception during delete session.", "ERR")


def main() -> int:
    root = Path.cwd()
    apply_env(root)
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()
        if wire := getattr(listener, "wire", None):
            wire.interrupt()

    log = Log(root / "_diag", "Runner")
    version = version_of(root)
    listener = Listener(root, log, stop, version)
    # A shell starts background processes with SIGINT ignored; the service forwards SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask_to_stop)
    log.trace("Listener", "Runner is built for Linux (X64) - linux-x64.")
    log.trace("Listener", "RuntimeInformation: Linux.")
    log.trace("Listener", f"Version: {version}")
    log.trace("Listener", f"Args: {' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}")
    code = SUCCESS
    try:
        listener.configure()
        # On every normal start, with or without a migrated file (Runner.cs:475).
        log.trace("Runner", "Falling back to original .runner settings")
        # The real one never writes this line to its log.
        print("\n√ Connected to GitHub\n", flush=True)
        listener.listen()
        log.say("Exiting...")
    except End as end:
        code = end.code
        if end.words:
            log.complain(end.words)
    except Exception as error:  # any other exception is retryable upstream
        code = RETRYABLE
        log.complain(f"An error occurred: {error}")
    log.trace("Listener", f"Runner execution has finished with return code {code}")
    return code
