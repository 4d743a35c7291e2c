"""`python -m lab.watchtable [KIND…]`: runners fail under a watch, and how long it takes until the watch says so.

Each kind: a deploy runs on the lab's primary, `pytest --watch` looks at it with the lab's limits, a tenth of the usual
ones; the runner fails; the first line with a × is the verdict. Seconds are this machine's, minutes are lab time, ten to
one. GitHub itself would take ten minutes for a lost job and a day for one that nobody takes. The table goes to
reports/latest/watchtable.md. Needs engine nspawn.
"""

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import suite, world
from lab.deaths import DEATHS, Death
from lab.engine import engine_named
from lab.faults_hosts import PRIMARY
from lab.faults_runner import forget, shell
from lab.process import LabError, until
from lab.world import Lab

FASTER = 10
LIMITS = {
    "watch_taken": "18s",
    "watch_noticed": "30s",
    "watch_every": "1s",
    "watch_hosts": "3s",
    "watch_renewed": "18s",
    "watch_blind": "12s",
    "watch_disk": "4MiB",
}
"""A tenth of the defaults; the disk is that of the lab's hosts, whose work folder holds 128 MiB."""
JOBS = {"renew": 6.0, "lease": 60.0, "accept": 6.0}
USUAL = {"renew": 60.0, "lease": 600.0, "accept": 60.0}
NOTICED = 300.0
WELL_SECONDS = 5.0
"""So long the job runs well first: then the watch has seen its host once."""
MOST_SECONDS = 120.0


@dataclass
class Row:
    """One kind: what was said first, after how many seconds; and when it was certain, -1.0 for never."""

    death: Death
    said: str = ""
    cause: str = ""
    seconds: float = -1.0
    certain: float = -1.0
    code: int = -1
    log: list[str] = field(default_factory=list)

    @property
    def lab_time(self) -> float:
        return self.seconds * FASTER

    @property
    def good(self) -> bool:
        told = 0 <= self.lab_time <= NOTICED and self.cause in self.death.causes and bool(self.said)
        return told and (not self.death.certain or (self.code == 1 and self.certain >= 0))


def context(lab: Lab) -> Path:
    """The lab's context with its limits a tenth as long, and a file of its own for what watches write down."""
    text = lab.context_file.read_text("utf-8")
    extra = "".join(f"  {name}: {value}\n" for name, value in LIMITS.items())
    text = re.sub(r"^limits:\n", f"limits:\n{extra}", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^  watches: .*$", "  watches: watchtable.jsonl", text, flags=re.MULTILINE)
    path = lab.state / "watchtable.yml"
    world.write(path, text)
    return path


class Watching:
    """A watch that runs beside: its lines, each with the moment it came."""

    def __init__(self, number: int, where: Path, reports: Path) -> None:
        command = [sys.executable, "-m", "pytest", f"--watch={number}", f"--context={where}", f"--reports={reports}"]
        apart = ("PYTEST_", "PREFLIGHT_", "GITHUB_", "RUNNER_", "GH_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(apart)}
        self.lines: list[tuple[float, str]] = []
        self.process = subprocess.Popen(
            command, cwd=world.ROOT, env={**clean, "PYTHONUNBUFFERED": "1"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line.rstrip()))

    def first(self, word: str, after: float = 0.0) -> tuple[float, str]:
        """The first such line since then; (-1.0, "") for none yet."""
        return next(((at, line) for at, line in list(self.lines) if at >= after and word in line), (-1.0, ""))

    def end(self, seconds: float) -> int:
        try:
            self.process.wait(max(0.1, seconds))
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(10)
        self._thread.join(5)
        return self.process.returncode


def job(lab: Lab, death: Death) -> dict[str, Any]:
    wish = {
        "name": death.job,
        "title": f"watched: {death.name}",
        "path": ".github/workflows/deploy-production.yml",
        "labels": list(death.labels),
        "steps": [{"name": "Deploy", "run": "exec sleep 3600"}],
    }
    made: dict[str, Any] = lab.request("POST", "/_lab/jobs", wish)
    return made


def happens(lab: Lab, death: Death, where: Path, reports: Path) -> Row:
    """One kind, from the healthy job to the verdict."""
    row = Row(death)
    death.first(lab)
    made = job(lab, death)
    began = time.monotonic()
    watch = Watching(int(made["run_id"]), where, reports)
    try:
        if not death.queued:
            until(lambda: "runs on" in watch.first("in 'Deploy'")[1], "the watch to see the job run", 60, 0.05)
            time.sleep(WELL_SECONDS)
            began = time.monotonic()
            death.then(lab)
        row.code = _until_told(watch, began)
    finally:
        watch.end(0.1)
    at, row.said = watch.first(" × ", began)
    row.log = [line for _, line in watch.lines]
    if at >= 0:
        row.seconds = at - began
        row.cause, row.certain = _recorded(lab, int(made["run_id"]), watch, began)
    return row


def _until_told(watch: Watching, began: float) -> int:
    """The exit code of the watch; of one that goes on because it is not certain, -1 once that has lasted."""
    while watch.process.poll() is None:
        at, _ = watch.first(" × ", began)
        if (at >= 0 and time.monotonic() - at > 20) or time.monotonic() - began > MOST_SECONDS:
            watch.process.send_signal(2)  # as a person's Ctrl-C: it writes down what it saw
            return watch.end(15)
        time.sleep(0.05)
    return watch.end(1)


def _recorded(lab: Lab, number: int, watch: Watching, began: float) -> tuple[str, float]:
    """The cause as it was written down, and after how many seconds it was certain."""
    import json

    lines = [json.loads(line) for line in (lab.state / "watchtable.jsonl").read_text("utf-8").splitlines()]
    troubles = [t for line in lines if line["run"] == number for t in line["troubles"] if t["word"] == "broken"]
    if not troubles:
        return "", -1.0
    sure = next((t for t in troubles if t["certain"]), None)
    at = watch.first(sure["says"][:60], began)[0] if sure else -1.0
    return str(troubles[0]["cause"]), at - began if at >= 0 else -1.0


def heal(lab: Lab, death: Death) -> None:
    """The job is forgotten, and the primary is as new."""
    for title in (f"watched: {death.name}", "busy-under-watch"):
        forget(lab, title)
    death.heal(lab)
    if death.name == "disk read-only":
        shell("pkill -KILL -x Runner.Worker || true")(lab)
    host = lab.host(PRIMARY)
    engine_named(lab.engine).reset(lab, host, int(lab.runners()[PRIMARY]["id"]))
    lab.wait_online(PRIMARY)


def told(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}" if seconds >= 0 else "never"


def table(rows: Sequence[Row], engine: str) -> str:
    """In Markdown."""
    good, slowest = sum(row.good for row in rows), max((row.lab_time for row in rows), default=0.0)
    text = [
        "# From a runner's failure to the verdict of the watch",
        "",
        f"Engine {engine}, lab time {FASTER} to 1: {good} of {len(rows)} as they should be, the slowest after {told(slowest)} min.",
        "",
        "| a runner fails | the watch says | after | certain after |",
        "|---|---|---|---|",
    ]
    for row in rows:
        mark = "" if row.good else "WRONG: "
        sure = told(row.certain * FASTER) if row.certain >= 0 else "-"
        text.append(
            f"| {row.death.name}: {row.death.story} | {mark}{row.cause or 'nothing'} | {told(row.lab_time)} | {sure} |"
        )
    return "\n".join(text) + "\n"


def watched(lab: Lab, deaths: Sequence[Death]) -> list[Row]:
    """Every kind in turn. Nothing of it is left behind."""
    reports = world.ROOT / "reports" / "latest" / "watchtable"
    where = context(lab)
    lab.request("PATCH", "/_lab/jobs/limits", JOBS)
    rows = []
    try:
        for death in deaths:
            try:
                row = happens(lab, death, where, reports / re.sub(r"\W+", "-", death.name))
            except LabError as error:
                # The lab's own trouble: the kind is not shown, and the others are.
                row = Row(death, log=[f"lab: {error}"])
            finally:
                heal(lab, death)
            rows.append(row)
            word = "ok   " if row.good else "WRONG"
            print(
                f"{word} {death.name}: {row.cause or 'nothing'} after {told(row.lab_time)} lab time ({row.seconds:.1f} s)",
                flush=True,
            )
            if not row.good:
                print(*(f"      {line}" for line in row.log[-12:]), sep="\n", flush=True)
    finally:
        lab.request("PATCH", "/_lab/jobs/limits", USUAL)
        where.unlink(missing_ok=True)
        (lab.state / "watchtable.jsonl").unlink(missing_ok=True)
    return rows


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.watchtable", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"default: all of {', '.join(d.name for d in DEATHS)}")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    given = parser.parse_args(argv)
    known = {death.name: death for death in DEATHS}
    if unknown := [name for name in given.kinds if name not in known]:
        print(f"watchtable: no kind is called {unknown[0]}; --help lists them", file=sys.stderr)
        return 4
    try:
        suite.lab("up")
        lab = world.load()
        if lab is None or lab.engine != "nspawn":
            raise LabError("a runner can fail in all these ways on engine nspawn alone")
        rows = watched(lab, [known[name] for name in given.kinds] or DEATHS)
    except LabError as error:
        print(f"watchtable: {error}", file=sys.stderr)
        return 1
    finally:
        if not given.keep:
            suite.lab("down")
    page = world.ROOT / "reports" / "latest" / "watchtable.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(table(rows, lab.engine), "utf-8")
    print(
        f"{sum(row.good for row in rows)} of {len(rows)} failures were told of as they should be; {page.relative_to(world.ROOT)}"
    )
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
