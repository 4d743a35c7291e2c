"""Requests without an end, to see whether anybody would have noticed a deploy: how many failed, how many were of two releases.

    python -m lab.load URL [--seconds N] [--connections N]

Only addresses of a lab (loopback, 10.77.0.0/16) are asked, for a bounded time, over a few connections. An answer is *mixed*
when its header `X-Release` and its body do not name one and the same version, or when half of it came.
"""

import argparse
import http.client
import ipaddress
import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HEADER = "X-Release"
NAMED = re.compile(rb"release ([A-Za-z0-9._-]*[A-Za-z0-9_-])")
ALLOWED = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.77.0.0/16"))
MOST_SECONDS, MOST_CONNECTIONS = 300.0, 8
TIMEOUT = 5.0
PAUSE = 0.003
"""Between the requests of one connection: what is deployed must get to run, too."""
TOLD = 5


@dataclass
class Count:
    """What the answers were. `told` holds the first few that were not good, in words."""

    requests: int = 0
    failed: int = 0
    mixed: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)
    """Versions as one connection saw them, each once for as long as it lasted."""
    told: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        seen = ", ".join(f"{version[:12]} {n}" for version, n in sorted(self.versions.items()))
        return f"{self.requests} requests, {self.failed} failed, {self.mixed} mixed ({seen})"


def allowed(url: str) -> tuple[str, int, str]:
    """Host, port and path. Raises ValueError for an address that is none of a lab's."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not parts.port:
        raise ValueError(f"{url} is no http://ADDRESS:PORT/")
    address = ipaddress.ip_address(parts.hostname)
    if not any(address in network for network in ALLOWED):
        raise ValueError(f"{address} is no address of a lab")
    return parts.hostname, parts.port, parts.path or "/"


def judged(status: int, header: str, body: bytes) -> tuple[str, str]:
    """`good`, `failed` or `mixed`, and the version or the reason."""
    if status != 200:
        return "failed", f"status {status}"
    named = sorted({word.decode() for word in NAMED.findall(body)})
    if named != [header]:
        return "mixed", f"the header says {header or 'nothing'}, the body {' and '.join(named) or 'nothing'}"
    return "good", header


class Load:
    """`with Load(url) as load: …; load.count`. At most `seconds`, whatever the body does."""

    def __init__(self, url: str, connections: int = 4, seconds: float = 60.0) -> None:
        self._where = allowed(url)
        if not (0 < seconds <= MOST_SECONDS and 0 < connections <= MOST_CONNECTIONS):
            raise ValueError(f"at most {MOST_CONNECTIONS} connections for {MOST_SECONDS:.0f} s")
        self._end = time.monotonic() + seconds
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.count = Count()
        self._threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(connections)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait(self) -> None:
        """Until its time is over."""
        self._stop.wait(max(0.0, self._end - time.monotonic()))

    def _ask(self, number: int) -> None:
        host, port, path = self._where
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        while not self._stop.is_set() and time.monotonic() < self._end:
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                word, what = judged(answer.status, answer.headers.get(HEADER, ""), answer.read())
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                word, what = "failed", f"{type(error).__name__}: {error}"
            self._note(number, word, what)
            self._stop.wait(PAUSE)
        connection.close()

    def _note(self, number: int, word: str, what: str) -> None:
        with self._lock:
            count = self.count
            count.requests += 1
            if word == "good":
                count.versions[what] += 1
                if number == 0 and count.order[-1:] != [what]:
                    count.order.append(what)
                return
            count.failed += word == "failed"
            count.mixed += word == "mixed"
            if len(count.told) < TOLD:
                count.told.append(f"{word}: {what}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="N")
    parser.add_argument("--connections", type=int, default=4, metavar="N")
    given = parser.parse_args()
    try:
        load = Load(given.url, given.connections, given.seconds)
    except ValueError as error:
        parser.error(str(error))
    with load:
        load.wait()
    count = load.count
    shown = {"requests": count.requests, "failed": count.failed, "mixed": count.mixed, "versions": dict(count.versions)}
    print(json.dumps(shown | {"order": count.order, "told": count.told}))
    return 1 if count.failed or count.mixed or not count.requests else 0


if __name__ == "__main__":
    raise SystemExit(main())
