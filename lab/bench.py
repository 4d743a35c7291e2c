"""`python -m lab.bench`: how long the host part of the gate takes, beside one bare `ssh` and plain pytest-testinfra.

Everything is measured in one run, in turns, so that a busy machine slows all of them: the ratios of the medians are what
counts. Round trips are added on the wire (engine `nspawn`), where TCP runs end to end. The report is
`reports/latest/bench.md`. The lab of this checkout is brought up with as many hosts as are asked for, and stays up.
"""

import argparse
import json
import math
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from lab import distance, limits, suite, world
from lab.apart import apart
from lab.context import context_text
from lab.engine import on
from lab.process import LabError
from lab.world import Host, Lab

REPORT = world.ROOT / "reports" / "latest" / "bench.md"
PLAIN = world.ROOT / "lab" / "plain_testinfra.py"
GATE, BARE, PARAMIKO, CONTROL = "gate", "ssh host true", "testinfra, paramiko", "testinfra, ssh with ControlPath"
ALL_BARE = "ssh host true, all hosts at once"
APART = "gate, hosts of their own"
SECONDS = 1800.0
"""More than the slowest of all takes: testinfra, ten hosts, 80 ms."""
PATIENCE = 45.0
"""Seconds that one contestant may use in one row; then it is measured no further."""
LOGIN, COMMAND = "Accepted publickey", "Starting session"


@dataclass(frozen=True)
class Goal:
    """What is promised of one ratio. `of` over `than` is at most (`most`) or at least (`least`) this."""

    text: str
    value: float
    most: float = float("inf")
    least: float = 0.0

    @property
    def met(self) -> bool:
        return self.least <= self.value <= self.most

    def __str__(self) -> str:
        limit = f"at most {self.most:g}" if self.most < float("inf") else f"at least {self.least:g}"
        return f"| {self.text} | {limit} | {self.value:.2f} | {'met' if self.met else 'NOT MET'} |"


@dataclass
class Row:
    """What was measured for so many hosts and so many milliseconds of added round trip."""

    hosts: int
    delay: float
    took: dict[str, list[float]] = field(default_factory=dict)
    asked: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Logins and commands of one run, over all hosts."""
    burnt: dict[str, list[float]] = field(default_factory=dict)
    """Seconds of processor time of the asking process and what it started here: what a busy machine stretches."""

    there: dict[str, list[float]] = field(default_factory=dict)
    """The same of the hosts that were asked: what their answers cost, whoever asks."""
    apart: float = float("nan")
    """Seconds that each host took to answer in the runs of `APART`."""

    def median(self, name: str) -> float:
        return statistics.median(self.took[name]) if self.took.get(name) else float("nan")

    def processor(self, name: str) -> tuple[float, float]:
        """Medians of the processor time, here and there."""
        none = [float("nan")]
        return statistics.median(self.burnt.get(name, none)), statistics.median(self.there.get(name, none))


class Bench:
    """The contestants, over the hosts of one lab. `place` holds what they need and leave."""

    def __init__(self, lab: Lab, place: Path, say: Callable[[str], None], few: bool = False) -> None:
        self.lab, self.place, self.say, self.few = lab, place, say, few
        # As a person runs them: with Python's cache of compiled modules, and nothing of this run's own surroundings.
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "PYTEST", "PREFLIGHT_", "GITHUB_", "RUNNER_"))
        }

    def contestants(self, hosts: Sequence[Host]) -> dict[str, Callable[[], float]]:
        ssh = {GATE: lambda: self.gate(hosts), BARE: lambda: self.bare(hosts[:1]), ALL_BARE: lambda: self.bare(hosts)}
        if self.few:
            return ssh
        return {
            **ssh,
            CONTROL: lambda: self.control(hosts),
            PARAMIKO: lambda: self.testinfra("paramiko", self.lab.ssh_config, hosts),
        }

    def timed(
        self, argv: Sequence[str], environment: dict[str, str] | None = None, codes: Sequence[int] = (0,)
    ) -> float:
        began = time.monotonic()
        done = subprocess.run(
            argv, cwd=self.lab.root, env=environment or self.environment, stdin=subprocess.DEVNULL, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, text=True, errors="replace",
        )  # fmt: skip
        took = time.monotonic() - began
        if done.returncode not in codes:
            raise LabError(f"exit {done.returncode}: {' '.join(argv)}\n{done.stdout[-3000:]}")
        return took

    def gate(self, hosts: Sequence[Host]) -> float:
        context = self.lab.state / f"bench-{len(hosts)}.yml"
        world.write(context, context_text(replace(self.lab, hosts=tuple(hosts))))
        reports = self.place / "reports"
        argv = [sys.executable, "-m", "pytest", "--only-hosts", "-m", "guarantee(when='quick')", f"--context={context}"]
        argv += [f"--reports={reports}", "-q"]
        took = self.timed(argv, codes=(0, 1))
        verdict = json.loads((reports / "verdict.json").read_text("utf-8"))
        unknown = [c["check"] for c in verdict["checks"] if c["outcome"] in ("unknown", "crashed")]
        if unknown:
            self.say(f"    the gate could not see {', '.join(sorted(set(unknown)))}")
        context.unlink()
        return took

    def bare(self, hosts: Sequence[Host]) -> float:
        one = ["ssh", "-F", str(self.lab.ssh_config), "-o", "BatchMode=yes"]
        if len(hosts) == 1:
            return self.timed([*one, hosts[0].name, "true"])
        each = "\n".join(f'{shlex.join([*one, host.name, "true"])} & pids="$pids $!"' for host in hosts)
        return self.timed(["sh", "-ec", f"pids=\n{each}\nfor it in $pids; do wait $it; done"])

    def control(self, hosts: Sequence[Host]) -> float:
        """Each run with a master of its own: what a person's first run meets."""
        # A path for a socket holds 108 bytes
        with tempfile.TemporaryDirectory(prefix="rp") as sockets:
            config = self.place / "control_config"
            master = f"Host *\n  ControlMaster auto\n  ControlPath {sockets}/%C\n  ControlPersist 60s\n"
            world.write(config, master + self.lab.ssh_config.read_text(), 0o600)
            try:
                return self.testinfra("ssh", config, hosts)
            finally:
                for host in hosts:
                    leave = ["ssh", "-F", str(config), "-O", "exit", host.name]
                    subprocess.run(leave, check=False, capture_output=True, timeout=30)

    def testinfra(self, connection: str, config: Path, hosts: Sequence[Host]) -> float:
        given = yaml.safe_load(context_text(replace(self.lab, hosts=tuple(hosts))))
        questions = self.place / "world.json"
        world.write(questions, json.dumps(self.questions(given)))
        names = ",".join(f"{connection}://{host.name}" for host in hosts)
        # Away from this checkout, whose conftest.py would bring the suite's own plugins
        settings, tests = self.place / "pytest.ini", self.place / "test_plain.py"
        world.write(settings, "[pytest]\n")
        world.write(tests, PLAIN.read_text("utf-8"))
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            str(settings),
            f"--rootdir={self.place}",
            "-p",
            "testinfra.plugin",
        ]
        argv += ["-p", "no:cacheprovider", f"--hosts={names}", f"--ssh-config={config}", "-q", str(tests)]
        # Lean: of its plugins only the one that it needs
        lean = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "BENCH_WORLD": str(questions)}
        return self.timed(argv, self.environment | lean)

    def questions(self, given: dict[str, Any]) -> dict[str, Any]:
        runner, hosts = given["runners"][0], given.get("hosts", {})
        certified = [t["url"].split("/")[2] for t in given["targets"] if t.get("url", "").startswith("https://")]
        return {
            "directory": runner["directory"],
            "user": runner["user"],
            "targets": given["targets"],
            "certified": certified,
            "reach": given["github"].get("reach", []),
            "tools": hosts.get("tools", []),
            "hooks": list(hosts.get("hooks", {}).values()),
        }

    # Counting

    def log_more(self) -> None:
        """sshd tells of each command, for as long as these hosts live."""
        script = "echo 'LogLevel VERBOSE' > /etc/ssh/sshd_config.d/00-bench.conf; systemctl reload ssh"
        for host in self.lab.hosts:
            on(self.lab, host.name, script)

    def log_lines(self, hosts: Sequence[Host]) -> tuple[int, int]:
        logs = "".join(on(self.lab, host.name, "journalctl --no-pager -o cat -t sshd") for host in hosts)
        return logs.count(LOGIN), logs.count(COMMAND)

    # Measuring

    def row(self, hosts: Sequence[Host], delay: float, runs: int, counted: bool) -> Row:
        row = Row(len(hosts), delay)
        for turn in range(runs):
            for name, act in self.contestants(hosts).items():
                took = row.took.setdefault(name, [])
                if took and (sum(took) > PATIENCE or (name in (CONTROL, PARAMIKO) and turn >= 3)):
                    continue
                before = self.log_lines(hosts) if counted and not turn else (0, 0)
                burnt, there = burning(), burning_there(self.lab, hosts)
                took.append(act())
                row.burnt.setdefault(name, []).append(burning() - burnt)
                row.there.setdefault(name, []).append(burning_there(self.lab, hosts) - there)
                if counted and not turn:
                    after = self.log_lines(hosts)
                    row.asked[name] = (after[0] - before[0], after[1] - before[1])
        if counted and len(hosts) > 1:
            with apart(self.lab, hosts, self.gate) as row.apart:
                row.took[APART] = [self.gate(hosts) for _ in range(runs)]
        told = ", ".join(f"{name} {row.median(name):.2f} s" for name in row.took)
        self.say(f"  {row.hosts} hosts, {delay:g} ms: {told}")
        return row


def burning() -> float:
    """Processor time of all that this process has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def burning_there(lab: Lab, hosts: Sequence[Host]) -> float:
    """Processor time of all that these hosts have done, NaN where none of their control groups counts it."""
    spent = 0.0
    for host in hosts:
        for group in limits.groups_of(lab, host):
            if (group / "cpuacct.usage").exists():
                spent += int((group / "cpuacct.usage").read_text()) / 1e9
                break
            if (group / "cpu.stat").exists() and "usage_usec" in (text := (group / "cpu.stat").read_text()):
                spent += int(text.split("usage_usec", 1)[1].split()[0]) / 1e6
                break
        else:
            return float("nan")
    return spent


def stretch(lab: Lab, delay: float) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda host: distance.stretch(lab, host, delay), lab.hosts))


def measured(
    lab: Lab, counts: Sequence[int], delays: Sequence[float], runs: int, say: Callable[[str], None], few: bool
) -> list[Row]:
    rows = []
    with ExitStack() as stack:
        bench = Bench(lab, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))), say, few)
        far = lab.engine == "nspawn"
        if far:
            bench.log_more()
            stack.callback(stretch, lab, 0)
        say("warming up")
        for act in bench.contestants(lab.hosts[:1]).values():
            act()
        for delay in delays if far else (0,):
            if far:
                stretch(lab, delay)
            rows += [bench.row(lab.hosts[:count], delay, runs, far) for count in counts]
    return rows


# The report


def goals(rows: Sequence[Row]) -> list[Goal]:
    """What is promised at 40 ms."""
    at = {row.hosts: row for row in rows if row.delay == 40}
    found = []
    if one := at.get(1):
        found.append(Goal("1 host: gate / ssh host true", one.median(GATE) / one.median(BARE), most=2.5))
        if PARAMIKO in one.took:
            found.append(Goal("1 host: testinfra, paramiko / gate", one.median(PARAMIKO) / one.median(GATE), least=8))
    if one and (ten := at.get(10)):
        found.append(Goal("10 hosts / 1 host, gate", ten.median(GATE) / one.median(GATE), most=2.5))
        if APART in ten.took:
            found.append(Goal("the same, hosts of their own", ten.median(APART) / one.median(GATE), most=2.5))
        if PARAMIKO in ten.took:
            found.append(
                Goal("10 hosts: testinfra, paramiko / gate", ten.median(PARAMIKO) / ten.median(GATE), least=30)
            )
    return found


def floor(row: Row) -> str:
    """What the gate cannot be faster than where hosts and asker share these cores: the work there is, over the cores."""
    here, there = row.processor(GATE)
    cores = os.cpu_count() or 1
    bare_here, bare_there = row.processor(ALL_BARE)
    return (
        f"- {row.hosts} hosts, {row.delay:g} ms: the gate's answers cost {there:.2f} s of processor on the hosts and "
        f"{here:.2f} s here, which {cores} cores cannot do in less than {(here + there) / cores:.2f} s; it took {row.median(GATE):.2f} s. "
        f"`ssh host true` to all of them at once costs {bare_there:.2f} s and {bare_here:.2f} s, and took {row.median(ALL_BARE):.2f} s."
    )


def machines(row: Row) -> str:
    """What the gate takes where the hosts compute nothing at the same time on these cores."""
    return (
        f"- {row.hosts} hosts, {row.delay:g} ms: where each only says again what it said when it was asked alone, and takes the "
        f"{row.apart:.2f} s that this took, the gate took {row.median(APART):.2f} s."
    )


def trips(rows: Sequence[Row], hosts: int, name: str) -> str:
    """Round trips, from how much longer it takes at the largest delay than without any."""
    mine = sorted((row for row in rows if row.hosts == hosts), key=lambda row: row.delay)
    if len(mine) < 2 or mine[-1].delay == mine[0].delay:
        return "not measured"
    return f"{(mine[-1].median(name) - mine[0].median(name)) / (mine[-1].delay - mine[0].delay) * 1000:.0f}"


def measure(value: float, unit: str = "") -> str:
    return "not measured" if math.isnan(value) else f"{value:.2f}{unit}"


def report(rows: Sequence[Row], lab: Lab, load: tuple[float, ...]) -> str:
    names = [name for name in (GATE, BARE, ALL_BARE, CONTROL, PARAMIKO) if name in rows[0].took]
    lines = [
        "# Benchmark of the host part of the gate",
        "",
        f"Medians of one run, in turns; the ratios are what counts. {os.cpu_count()} cores, shared by the hosts of the lab (engine "
        f"{lab.engine}) and by what asks them; load average {load[0]:.1f} before, {os.getloadavg()[0]:.1f} after.",
        f"Python {platform.python_version()}, pytest {version('pytest')}, pytest-testinfra {version('pytest-testinfra')}, "
        f"paramiko {version('paramiko')}, {ssh_version()}.",
        "",
        "The gate is the whole process: `pytest --only-hosts` with the checks of the quick profile, and its reports. testinfra runs with no other plugin.",
        "",
        "| hosts | added round trip | " + " | ".join(names) + " | gate / ssh | paramiko / gate | ControlPath / gate |",
        "|---" * (len(names) + 5) + "|",
    ]
    for row in rows:
        cells = [f"{row.median(name):.2f} s ({len(row.took.get(name, ()))}x)" for name in names]
        gate = row.median(GATE)
        ratios = [gate / row.median(BARE), row.median(PARAMIKO) / gate, row.median(CONTROL) / gate]
        cells += [measure(ratio) for ratio in ratios]
        lines.append(f"| {row.hosts} | {row.delay:g} ms | " + " | ".join(cells) + " |")
    lines += ["", "| goal, at 40 ms | | measured | |", "|---|---|---|---|", *map(str, goals(rows))]
    lines += ["", "Where the time goes:", "", *map(floor, rows)]
    lines += [machines(row) for row in rows if APART in row.took]
    lines += ["", "| hosts | who | connections | execs | round trips | processor here | on the hosts |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for row in rows:
        if row.delay == rows[0].delay:
            for name in names:
                logins, commands = row.asked.get(name, (0, 0))
                counted = f"{logins} | {commands}" if name in row.asked else "not counted | not counted"
                here, there = (measure(seconds, " s") for seconds in row.processor(name))
                lines.append(
                    f"| {row.hosts} | {name} | {counted} | {trips(rows, row.hosts, name)} | {here} | {there} |"
                )
    lines += [
        "",
        "Connections and execs are counted in the hosts' sshd logs, in one run. Round trips are the slope of the medians over "
        "the added round trip; those of several hosts that are asked at once overlap. The hosts of this lab share the cores of who "
        "asks; those that say again what they said (`hosts of their own`) cost them no more than a login, as real ones do.",
    ]
    return "\n".join(lines) + "\n"


def ssh_version() -> str:
    done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False)
    return done.stderr.partition(",")[0].strip()


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.bench", description=__doc__)
    parser.add_argument("--hosts", type=numbers, default=[1, 2, 10], metavar="N,N", help="default: 1,2,10")
    parser.add_argument("--delays", type=numbers, default=[0, 40, 80], metavar="MS,MS", help="default: 0,40,80")
    parser.add_argument(
        "--runs", type=int, default=5, metavar="N", help="default: 5; the slow ones are measured less often"
    )
    parser.add_argument(
        "--no-testinfra", action="store_true", help="the gate and ssh alone: a minute instead of an hour"
    )
    options = parser.parse_args()
    load = os.getloadavg()

    def say(text: str) -> None:
        print(text, flush=True)

    try:
        suite.lab("up", "--hosts", str(max(options.hosts)))
        lab = world.load()
        assert lab is not None
        if lab.engine != "nspawn":
            say(f"engine {lab.engine} adds no round trips: measured as it is")
        rows = measured(lab, options.hosts, options.delays, options.runs, say, options.no_testinfra)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    text = report(rows, lab, load)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    world.write(REPORT, text)
    say(f"\n{text}\n{REPORT.relative_to(world.ROOT)}")
    return 0 if all(goal.met for goal in goals(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
