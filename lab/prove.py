"""`python -m lab.prove [FAULT…]`: every check seen red by its own faults, and green under all others.

For each fault the whole nightly profile runs against the broken lab; what is broken and what is unknown must be exactly
what the fault names, per runner. The matrix goes to reports/latest/proof.md.
"""

import sys
import time
from pathlib import Path

from lab import suite, world
from lab.fault import Fault
from lab.faults import FAULTS, fault_named
from lab.process import LabError
from lab.suite import Said

HEALTHY = "(healthy)"


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


def main(argv: list[str]) -> int:
    started = time.monotonic()
    reports = world.ROOT / "reports" / "latest" / "prove"
    rows: dict[str, Said] = {}
    wrong: dict[str, list[str]] = {}
    try:
        suite.lab("up")
        up = world.load()
        engine = up.engine if up else ""
        faults = [fault_named(name) for name in argv] or [f for f in FAULTS.values() if engine in f.engines]
        skipped = [f.name for f in FAULTS.values() if engine not in f.engines]
        said = suite.gate("nightly", reports / "healthy", "-q", quiet=True)
        rows[HEALTHY], wrong[HEALTHY] = said, difference(said, frozenset(), frozenset())
        for fault in faults:
            rows[fault.name], wrong[fault.name] = prove(fault, engine, reports)
            print(
                f"{'WRONG' if wrong[fault.name] else 'ok   '} {fault.name}: {rows[fault.name].line}",
                *wrong[fault.name],
                sep="\n      ",
                flush=True,
            )
        said = suite.gate("nightly", reports / "healed", "-q", quiet=True)
        rows["(healed)"], wrong["(healed)"] = said, difference(said, frozenset(), frozenset())
    except LabError as error:
        print(f"prove: {error}", file=sys.stderr)
        return 1
    finally:
        suite.lab("down")
    page = world.ROOT / "reports" / "latest" / "proof.md"
    page.write_text(matrix(rows, engine), "utf-8")
    never = sorted(rows[HEALTHY].checks - {name.partition("[")[0] for said in rows.values() for name in said.broken})
    bad = {name: what for name, what in wrong.items() if what}
    for name, what in bad.items():
        print(f"WRONG {name}: {'; '.join(what)}")
    if never and not argv:
        print(f"never seen red: {', '.join(never)}")
    if skipped:
        print(f"not on this engine ({engine}): {', '.join(skipped)}")
    print(
        f"{len(rows) - len(bad)} of {len(rows)} worlds gave exactly what they name, in {time.monotonic() - started:.0f} s; {page.relative_to(world.ROOT)}"
    )
    return 1 if bad or (never and not argv and engine == "nspawn") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
