"""`python -m tests.benchlogs`: how long 200 MB of job logs take, as a ratio to one pass of `grep -c ''` over the same bytes.

Both read the same 500 logs in one run, so that a busy machine slows both: the ratio is what counts. The report is
`reports/latest/bench-logs.md`; `make bench` writes it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from fixtures import scanner
from fixtures.scanner import Kingfisher
from tests.logsample import bulk
from tests.planted import Dice
from tests.worlds import ROOT

REPORT = ROOT / "reports" / "latest" / "bench-logs.md"
LOGS, BATCH, SIZE = 500, 50, 400_000


@dataclass(frozen=True)
class Measured:
    """Bytes read, seconds of the scan and of grep, findings, and the most memory (bytes) that any child had."""

    read: int
    took: float
    grep: float
    found: int
    memory: int

    def __str__(self) -> str:
        return (
            f"{self.read / 1e6:.0f} MB in {LOGS} logs: {self.took:.1f} s, {self.took / self.grep:.1f} times "
            f"grep -c '' ({self.grep:.1f} s), {self.memory >> 20} MB of memory at the most"
        )


def measure(kingfisher: Kingfisher, dice: Dice) -> Measured:
    """Each log differs from every other, so that none is passed over as known."""
    texts = [bulk(dice, SIZE) for _ in range(8)]
    read = found = 0
    began = time.monotonic()
    for batch in range(LOGS // BATCH):
        some = [b"%d %d\n" % (batch, n) + texts[n % 8] for n in range(BATCH)]
        read += sum(map(len, some))
        found += sum(map(len, kingfisher.files(some)))
    took = time.monotonic() - began
    began = time.monotonic()
    for n in range(LOGS):
        subprocess.run(["grep", "-c", ""], input=texts[n % 8], stdout=subprocess.DEVNULL, check=True)
    grep = time.monotonic() - began
    return Measured(read, took, grep, found, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)


def main() -> int:
    path = scanner.binary()
    if path is None:
        print("kingfisher is not installed: make .venv/nightly", file=sys.stderr)
        return 1
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as cache:
        kingfisher = Kingfisher(path, time.monotonic() + 600, "acme/widgets", Path(cache))
        kingfisher.files([b"rules are read once"])
        said = measure(kingfisher, Dice(6))
    text = f"# Benchmark of log scanning\n\n{said}.\n{os.cpu_count()} cores, load average {load:.1f} before.\n"
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(text, "utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
