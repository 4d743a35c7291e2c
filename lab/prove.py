"""`python -m lab.prove [-j N] [FAULT…]`: every check seen red by its own faults, and green under all others.

For each fault the whole nightly profile runs against the broken lab, and after it the drills that the fault names; what
is broken and what is unknown must be exactly what it names, per runner. The matrix goes to reports/latest/proof.md. With `-j` the faults are shared out to
several labs side by side: this checkout's, and those of copies of it in the user's cache.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab import image, suite, world
from lab.copy import copy_checkout
from lab.fault import Fault
from lab.faults import FAULTS, fault_named
from lab.process import LabError
from lab.suite import Said

HEALTHY, HEALED = "(healthy)", "(healed)"
NOTHING: frozenset[str] = frozenset()


@dataclass
class Part:
    """What one lab has shown: the run of each fault by name, and what of it was not as named."""

    engine: str = ""
    rows: dict[str, Said] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    """Why a fault was not shown: its hosts need an image that cannot be made here."""


def difference(said: Said, breaks: frozenset[str], unknown: frozenset[str]) -> list[str]:
    """What is not as named, in words; empty when all is."""
    pairs = (
        ("broken", said.broken, breaks),
        ("unknown", said.unknown, unknown),
        ("crashed", said.crashed, frozenset[str]()),
    )
    found = []
    for what, got, wanted in pairs:
        if missing := wanted - got:
            found.append(f"not {what}: {', '.join(sorted(missing))}")
        if extra := got - wanted:
            found.append(f"{what} too: {', '.join(sorted(extra))}")
    if (
        (breaks or unknown)
        and said.word == "deploy"
        and said.runner == "prod-runner-01"
        and any("[prod-runner-01]" in name and name.partition("[")[0] not in said.warning for name in breaks | unknown)
    ):
        found.append(f"and yet: {said.line}")
    return found


def prove(fault: Fault, engine: str, reports: Path) -> tuple[Said, list[str]]:
    suite.lab("break", fault.name)
    try:
        said = suite.gate("nightly", reports / fault.name, "-q", quiet=True)
        if fault.drill:
            said = suite.together(said, suite.drill(reports / f"{fault.name}-drill", "-q", *fault.drill, quiet=True))
    finally:
        suite.lab("heal", fault.name)
    return said, difference(said, *fault.expected(engine))


def matrix(rows: dict[str, Said], engine: str) -> str:
    """Fault by check, as a Markdown table: × broken, ? unknown, for any runner."""
    checks = sorted({check for said in rows.values() for check in said.checks})
    text = [
        f"# What breaks what (engine {engine})",
        "",
        "× broken, ? unknown, on any runner; a blank held or did not apply.",
        "",
    ]
    text += [f"{n}. `{check}`" for n, check in enumerate(checks, 1)]
    text += ["", f"| fault | {' | '.join(str(n) for n in range(1, len(checks) + 1))} |", f"|---|{'---|' * len(checks)}"]
    for name, said in rows.items():
        broken, unknown = ({i.partition("[")[0] for i in ids} for ids in (said.broken, said.unknown))
        cells = ["×" if check in broken else "?" if check in unknown else " " for check in checks]
        text.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(text) + "\n"


def prove_here(names: Sequence[str]) -> Part:
    """Prove these faults, or all that the engine has, in this checkout's lab: healthy first, healed last."""
    reports = world.ROOT / "reports" / "latest" / "prove"
    part = Part()
    drills: list[tuple[str, ...]] = []

    def healthy(row: str, place: str) -> None:
        part.rows[row] = suite.gate("nightly", reports / place, "-q", quiet=True)
        for n, how in enumerate(drills):
            drilled = suite.drill(reports / f"{place}-drill-{n}", "-q", *how, quiet=True)
            part.rows[row] = suite.together(part.rows[row], drilled)
        part.wrong[row] = difference(part.rows[row], NOTHING, NOTHING)

    try:
        suite.lab("up")
        up = world.load()
        part.engine = up.engine if up else ""
        # A drill that a fault breaks has to hold where there is none.
        drills = sorted({fault_named(name).drill for name in names or on_engine(part.engine)} - {()})
        if drills:
            # They order runs, whose gate needs a runner of its own.
            suite.lab("control")
        healthy(HEALTHY, "healthy")
        faults = [fault_named(name) for name in names or on_engine(part.engine)]
        prove_each([fault for fault in faults if not fault.image], part, reports)
        healthy(HEALED, "healed")
        for variant in sorted({fault.image for fault in faults} - {""}):
            prove_on(variant, [fault for fault in faults if fault.image == variant], part, reports)
    finally:
        suite.lab("down")
    return part


def prove_each(faults: Sequence[Fault], part: Part, reports: Path) -> None:
    for fault in faults:
        part.rows[fault.name], part.wrong[fault.name] = prove(fault, part.engine, reports)
        word = "WRONG" if part.wrong[fault.name] else "ok   "
        told = [f"{word} {fault.name}: {part.rows[fault.name].line}", *part.wrong[fault.name]]
        print(*told, sep="\n      ", flush=True)


def prove_on(variant: str, faults: Sequence[Fault], part: Part, reports: Path) -> None:
    """The faults of a variant of the image, in a lab whose hosts have it; all skipped where it cannot be made."""
    try:
        image.ensure(print, variant)
    except (LabError, OSError) as error:
        reason = str(error).splitlines()[0]
        part.skipped |= {fault.name: f"no image with {variant}: {reason}" for fault in faults}
        return
    suite.lab("up", "--with", variant)
    prove_each(faults, part, reports)


def on_engine(engine: str) -> list[str]:
    return [name for name, fault in FAULTS.items() if engine in fault.engines]


def prove_in_copy(number: int, names: Sequence[str]) -> Part:
    """The same in a copy of the checkout: another place is another lab."""
    root = image.cache() / "prove" / f"{world.lab_id()}-{number}"
    copy_checkout(world.ROOT, root)
    out = root / "part.json"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "lab.prove", f"--out={out}", *names]
    subprocess.run(command, cwd=root, check=False, stdin=subprocess.DEVNULL)
    try:
        return from_json(out.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LabError(f"the lab in {root} proved nothing: {error}") from error


def to_json(part: Part) -> str:
    rows = {
        name: {key: sorted(value) if isinstance(value, frozenset) else value for key, value in asdict(said).items()}
        for name, said in part.rows.items()
    }
    return json.dumps({"engine": part.engine, "rows": rows, "wrong": part.wrong, "skipped": part.skipped})


def from_json(text: str) -> Part:
    raw = json.loads(text)
    rows: dict[str, Said] = {}
    for name, said in raw["rows"].items():
        values: dict[str, Any] = {k: frozenset(v) if isinstance(v, list) else v for k, v in said.items()}
        rows[name] = Said(**values)
    return Part(raw["engine"], rows, raw["wrong"], raw["skipped"])


def prove_all(names: Sequence[str], jobs: int) -> Part:
    """All faults over `jobs` labs; of each lab that was healthy or healed the worst word counts."""
    names = list(names) or on_engine(suite.chosen_engine())
    shares = [share for n in range(jobs) if (share := names[n::jobs])]
    with ThreadPoolExecutor(len(shares)) as pool:
        others = [pool.submit(prove_in_copy, n, share) for n, share in enumerate(shares[1:], start=2)]
        parts = [prove_here(shares[0]), *(other.result() for other in others)]
    if len({part.engine for part in parts}) > 1:
        raise LabError(f"the labs have different engines: {', '.join(part.engine for part in parts)}")
    whole = Part(parts[0].engine)
    for part in parts:
        whole.skipped |= part.skipped
    for row in (HEALTHY, *(name for name in names if name not in whole.skipped), HEALED):
        shown = [part for part in parts if row in part.rows]
        worst = max(shown, key=lambda part: len(part.wrong[row]))
        whole.rows[row], whole.wrong[row] = worst.rows[row], worst.wrong[row]
    return whole


def report(part: Part, everything: bool, started: float) -> int:
    page = world.ROOT / "reports" / "latest" / "proof.md"
    page.write_text(matrix(part.rows, part.engine), "utf-8")
    red = {name.partition("[")[0] for said in part.rows.values() for name in said.broken}
    never = sorted(part.rows[HEALTHY].checks - red)
    bad = {name: what for name, what in part.wrong.items() if what}
    for name, what in bad.items():
        print(f"WRONG {name}: {'; '.join(what)}")
    for name, reason in part.skipped.items():
        print(f"skipped {name}: {reason}")
    if never and everything:
        print(f"never seen red: {', '.join(never)}")
    if skipped := [name for name, fault in FAULTS.items() if part.engine not in fault.engines]:
        print(f"not on this engine ({part.engine}): {', '.join(skipped)}")
    good = f"{len(part.rows) - len(bad)} of {len(part.rows)} worlds gave exactly what they name"
    print(f"{good}, in {time.monotonic() - started:.0f} s; {page.relative_to(world.ROOT)}")
    return 1 if bad or (never and everything and part.engine == "nspawn") else 0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.prove", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-j", dest="jobs", type=int, choices=range(1, 9), default=1, metavar="N", help="labs at once")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write what was shown as JSON, for who asked for it")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="default: all of this engine")
    given = parser.parse_args(argv)
    started = time.monotonic()
    try:
        for name in given.faults:
            fault_named(name)
        part = prove_all(given.faults, given.jobs) if given.jobs > 1 else prove_here(given.faults)
    except LabError as error:
        print(f"prove: {error}", file=sys.stderr)
        return 1
    if given.out:
        given.out.write_text(to_json(part), "utf-8")
        return 0
    return report(part, not given.faults, started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
