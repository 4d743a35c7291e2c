"""The Listener's side of a job: takes it, starts a Worker for it, renews its lease, reports how it ended."""

import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.agent.diaglog import Log, now
from lab.agent.wire import Trouble, Wire

RESULTS = {100: ("Succeeded", "success"), 102: ("Failed", "failure"), 103: ("Canceled", "cancelled")}
"""A Worker's exit code is 100 + result. Everything else is a crash: 0 too (runner-host.md 3.3)."""

GIVE_UP_SECONDS = 25.0
"""A service that stops gives its listener 30 s until it kills it."""


class Dispatcher:
    """At most one job at a time. `take` and `cancel` are called by the poll loop, the rest happens in a thread."""

    def __init__(
        self, root: Path, log: Log, name: str, url: str, secret: str, changed: Callable[[], None] = lambda: None
    ) -> None:
        """`changed` is called when a job has ended: what the listener tells at its polls is another thing then."""
        self._changed = changed
        self._root, self._log, self._name = root, log, name
        self._url, self._secret = url, secret
        self._thread: threading.Thread | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._job = 0
        self._ended = False

    def ended(self) -> bool:
        """Whether a job has ended since this was asked last."""
        ended, self._ended = self._ended, False
        return ended

    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def take(self, job: int, request: str) -> None:
        if self.busy():
            return
        wire = Wire(self._url, self._secret)
        self._log.trace("BrokerMessageListener", f"Acknowledging runner request '{request}'.")
        try:
            status, order = wire.post(f"jobs/{job}/acquire", {"runner": self._name})
        except Trouble as error:
            self._log.trace("Runner", f"Fail to acquire job: {error}", "ERR")
            return
        if status != 200:
            self._log.trace("Runner", f"Skip message Job. {order.get('message')}", "WARN")
            return
        self._job = job
        self._thread = threading.Thread(target=self._run, args=(order, wire), daemon=True)
        self._thread.start()

    def cancel(self, job: int) -> None:
        if job == self._job:
            self._log.trace("JobDispatcher", f"Cancel running worker for job {job}.")
            self._tell(b"cancel\n")

    def give_up(self) -> None:
        """The listener stops: the running job is cancelled and reported."""
        if self.busy() and self._thread is not None:
            self._tell(b"shutdown\n")
            self._thread.join(GIVE_UP_SECONDS)

    def _tell(self, word: bytes) -> None:
        try:
            os.write(self._pipe, word)
        except OSError:
            self._log.trace("JobDispatcher", "The worker does not hear any more.", "WARN")

    def _run(self, order: dict[str, Any], wire: Wire) -> None:
        request, title = str(order["request"]), str(order["job"])
        self._log.trace("JobDispatcher", f"Job request {order['id']} for plan {uuid.uuid4()} job {request} received.")
        if not self._renew(wire, request):
            self._log.trace(
                "JobDispatcher", f"Unable to renew job request for job {request} for the first time.", "ERR"
            )
            return
        self._log.say(f"{now()}: Running job: {title}")
        code = self._work(order, wire, request)
        self._log.trace("JobDispatcher", f"Worker finished for job {request}. Code: {code}")
        if code not in RESULTS:
            self._log.trace(
                "JobDispatcher",
                f"Return code {code} indicate worker encounter an unhandled exception or app crash, attach worker stdout/stderr to JobRequest result.",
                "ERR",
            )
        said, result = RESULTS.get(code, ("Failed", "failure"))
        self._log.trace("JobDispatcher", f"finish job request for job {request} with result: {said}")
        try:
            wire.post(f"jobs/{order['id']}/complete", {"runner": self._name, "result": result})
        except Trouble as error:
            self._log.trace("JobDispatcher", f"Catch exception during finish job: {error}", "ERR")
        self._log.say(f"{now()}: Job {title} completed with result: {said}")
        self._job = 0
        self._ended = True
        wire.close()
        self._changed()

    def _work(self, order: dict[str, Any], wire: Wire, request: str) -> int:
        """Start a Worker, hand it the order, renew the lease while it lives. Its exit code as a shell would give it."""
        inner, self._pipe = os.pipe()
        # The Worker's second handle: upstream speaks both ways, here it says nothing.
        back, outer = os.pipe()
        place = self._root / "bin"
        message = {**order, "server": self._url, "secret": self._secret, "runner": self._name, "root": str(self._root)}
        self._log.trace("ProcessInvokerWrapper", f"Starting process: {place}/Runner.Worker spawnclient {inner} {outer}")
        self._worker = subprocess.Popen(
            [str(place / "Runner.Worker"), "spawnclient", str(inner), str(outer)],
            cwd=place,
            pass_fds=(inner, outer),
            stdin=subprocess.DEVNULL,
            # Not ours: a Worker that outlives us must not keep the service from seeing our end.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(inner)
        os.close(outer)
        self._log.trace("JobDispatcher", f"Send job request message to worker for job {request}.")
        threading.Thread(target=self._tell, args=(json.dumps(message).encode() + b"\n",), daemon=True).start()
        every = float(order["renew"])
        due = time.monotonic() + every
        while self._worker.poll() is None:
            time.sleep(0.05)
            if time.monotonic() >= due:
                due += every
                if not self._renew(wire, request, order):
                    self._tell(b"cancel\n")
        os.close(self._pipe)
        os.close(back)
        self._pipe = -1
        code = self._worker.returncode
        return 128 - code if code < 0 else code

    def _renew(self, wire: Wire, request: str, order: dict[str, Any] | None = None) -> bool:
        """False when the job is not ours any more. No answer is worth another try: the lease is longer than that."""
        job = order["id"] if order else self._job
        try:
            status, body = wire.post(f"jobs/{job}/renew", {"runner": self._name})
        except Trouble as error:
            self._log.trace("JobDispatcher", f"Catch exception during renew runner job {request}.", "ERR")
            self._log.trace("JobDispatcher", f"{type(error).__name__}: {error}", "ERR")
            return order is not None
        if status != 200:
            self._log.trace(
                "JobDispatcher", f"Lock renewal has run out of retry. Stop renew lock for job {request}.", "ERR"
            )
            return False
        self._log.trace(
            "JobDispatcher", f"Successfully renew job {request}, job is valid till {body.get('valid_till')}"
        )
        return True
