"""The GitHub stand-in as its tests use it: a process of its own, asked over real HTTP by urllib."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REPO = "/repos/acme/widgets"
ORG = "/orgs/acme"
TOKEN, LAB_KEY, RUNNER_KEY = "lab-token", "lab-key", "runner-key"

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Reply:
    status: int
    headers: Message
    data: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.data)

    @property
    def links(self) -> dict[str, str]:
        """Relation to URL."""
        return {name: url for url, name in re.findall(r'<([^>]+)>; rel="(\w+)"', self.headers.get("Link", ""))}


@dataclass
class Standin:
    url: str
    process: subprocess.Popen[str] = field(repr=False)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10,
    ) -> Reply:
        """Headers of None are those of a well-behaved client with the main token. A path may be a URL."""
        asked = {"Authorization": f"Bearer {TOKEN}"} if headers is None else dict(headers)
        data = None if body is None else json.dumps(body).encode()
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, data=data, headers=asked, method=method)
        try:
            with OPENER.open(request, timeout=timeout) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.headers, error.read())

    def get(self, path: str, headers: Mapping[str, str] | None = None, timeout: float = 10) -> Any:
        """The body of an answer that is expected to be a 200."""
        reply = self.call("GET", path, headers=headers, timeout=timeout)
        assert reply.status == 200, (path, reply.status, reply.data[:300])
        return reply.body

    def all(self, path: str, key: str = "") -> list[Any]:
        """Every page, by following Link."""
        reply = self.call("GET", path)
        rows: list[Any] = []
        while True:
            rows += reply.body[key] if key else reply.body
            if "next" not in reply.links:
                return rows
            reply = self.call("GET", reply.links["next"])

    def order(self, method: str, path: str, body: object = None) -> Any:
        """A call to the lab's own door."""
        reply = self.call(method, f"/_lab/{path}", body, {"X-Lab-Key": LAB_KEY})
        assert reply.status < 300, (path, reply.status, reply.data)
        return reply.body

    def fault(self, name: str, **params: object) -> None:
        self.order("POST", f"fault/{name}", params)

    def poll(self, name: str, version: str = "2.336.0") -> int:
        headers = {"Authorization": f"Bearer {RUNNER_KEY}"}
        return self.call("POST", f"/_lab/runners/{name}/poll", {"version": version}, headers).status

    def request(self, method: str, path: str, body: object = None) -> Any:
        """What the lab's faults call."""
        return self.order(method, path.removeprefix("/_lab/"), body)

    def runner(self, name: str) -> dict[str, Any] | None:
        """As the organisation's or the repository's list shows it."""
        rows = self.all(f"{ORG}/actions/runners", "runners") + self.all(f"{REPO}/actions/runners", "runners")
        return next((row for row in rows if row["name"] == name), None)

    def text(self, path: str, ref: str = "main") -> str:
        """A file of the repository."""
        return base64.b64decode(self.get(f"{REPO}/contents/{path}?ref={ref}")["content"]).decode()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@contextmanager
def started(state: Path) -> Iterator[Standin]:
    """A stand-in on a free port of loopback, ended by SIGTERM as `python -m lab down` ends it."""
    for name, word in (("lab.key", LAB_KEY), ("runner.key", RUNNER_KEY), ("token", TOKEN)):
        (state / name).write_text(word + "\n")
    argv = [sys.executable, "-m", "lab.github", "--state", str(state), "--listen", "127.0.0.1:0"]
    argv += ["--repository", "acme/widgets", "--token-file", str(state / "token")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening http://127.0.0.1:"), line
        yield Standin(line.split()[1], process)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        if process.stdout is not None:
            process.stdout.close()
