"""What upstream's RunnerService.js does: starts the Listener, passes its words on, and decides what its end means.

`externals/node20/bin/node ./bin/RunnerService.js` on a host is a Python interpreter under that name with a file that
calls this module, so that the process tree reads as the real one: bash, node, Runner.Listener.
The rules are runner-host.md 3.3: which exit codes stop the service, which relaunch it after 5 s, and that nothing of it
shows in systemd: the service ends with 0.
"""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from types import FrameType

RELAUNCH_SECONDS = 5.0
MOST_RETRIES = 10
KILL_SECONDS = 30.0
STOPS = {
    0: "Runner listener exit with 0 return code, stop the service, no retry needed.",
    1: "Runner listener exit with terminated error, stop the service, no retry needed.",
    5: "Runner listener exit with Session Conflict error, stop the service, no retry needed.",
}
RETRIES = {
    2: "Runner listener exit with retryable error, re-launch runner in 5 seconds.",
    3: "Runner listener exit because of updating, re-launch runner in 5 seconds.",
    4: "Runner listener exit because of updating, re-launch runner in 5 seconds.",
}
UNDEFINED = "Runner listener exit with undefined return code, re-launch runner in 5 seconds."
GIVE_UP = f"Stopping the runner after {MOST_RETRIES} consecutive re-tryable failures"


@dataclass
class Rules:
    """Whether to go on after an exit. `most_undefined` 0: for ever, which is upstream's way unless it is told a number."""

    most_undefined: int = 0
    retries: int = 0
    undefined: int = 0

    def listening(self) -> None:
        """ "Listening for Jobs" was heard: what failed before is forgotten."""
        self.retries = self.undefined = 0

    def after(self, code: int | None) -> tuple[bool, str]:
        """Whether to relaunch, and what is said. `code` None: ended by a signal."""
        if code in STOPS:
            return False, STOPS[code]
        if code in RETRIES:
            self.retries += 1
            return (False, GIVE_UP) if self.retries >= MOST_RETRIES else (True, RETRIES[code])
        self.undefined += 1
        if self.most_undefined and self.undefined >= self.most_undefined:
            return False, f"Stopping the runner after {self.undefined} consecutive failures"
        return True, UNDEFINED


class Service:
    def __init__(self, argv: list[str], rules: Rules) -> None:
        self.argv, self.rules = argv, rules
        self.stopping = threading.Event()
        self.listener: subprocess.Popen[str] | None = None

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        if self.stopping.is_set():
            return
        self.stopping.set()
        say("Shutting down runner listener")
        if self.listener is not None and self.listener.poll() is None:
            say("Sending SIGINT to runner listener to stop")
            self.listener.send_signal(signal.SIGINT)
            # Said at once and done 30 s later, as upstream says it.
            say("Sending SIGKILL to runner listener")
            timer = threading.Timer(KILL_SECONDS, self.kill)
            timer.daemon = True
            timer.start()

    def kill(self) -> None:
        if self.listener is not None and self.listener.poll() is None:
            self.listener.kill()

    def once(self) -> int | None:
        """One life of the Listener: its exit code, None for a signal, -2 when it cannot be started."""
        say("Starting Runner listener with startup type: service")
        try:
            self.listener = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace",
            )  # fmt: skip
        except OSError as error:
            say(f"Runner listener fail to start with error spawn {self.argv[0]} {error.strerror}")
            return -2
        say(f"Started listener process, pid: {self.listener.pid}")
        reader = threading.Thread(target=self.pass_on, args=(self.listener,), daemon=True)
        reader.start()
        # The dead are buried at once, and still an exit counts only when the output is closed, which a leaked child
        # can delay: node's `close` event.
        code = self.listener.wait()
        while reader.is_alive() and not self.stopping.is_set():
            reader.join(0.2)
        return None if code < 0 else code

    def pass_on(self, listener: "subprocess.Popen[str]") -> None:
        assert listener.stdout is not None
        for line in listener.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            if "Listening for Jobs" in line:
                self.rules.listening()

    def run(self) -> None:
        while not self.stopping.is_set():
            code = self.once()
            say(f"Runner listener exited with error code {'null' if code is None else code}")
            if self.stopping.is_set():
                return
            again, words = self.rules.after(code)
            say(words)
            if not again:
                return
            self.stopping.wait(RELAUNCH_SECONDS)


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    most = os.environ.get("GITHUB_ACTIONS_SERVICE_EXIT_AFTER_N_FAILURES", "")
    place = os.path.join(os.getcwd(), "bin", "Runner.Listener")
    service = Service([place, "run", "--startuptype", "service"], Rules(int(most) if most.isdecimal() else 0))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, service.stop)
    service.run()
    return 0
