"""`python -m lab.record`: the shipped recordings made anew, from two runs of the nightly profile against a lab.

`tests/recordings/healthy` is a healthy night, `contexts/recordings/night` the bad one that `make look` replays. Both are
what `reports/latest/seen` held, less the members of GitHub's rows that no fact reads: a run repeats the whole repository
twice. That nothing else is lost is shown each time: the replay of what is kept gives the verdict the run gave.
"""

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab import suite, world
from lab.process import LabError
from lab.suite import Said

HEALTHY = world.ROOT / "tests" / "recordings" / "healthy"
NIGHT = world.ROOT / "contexts" / "recordings" / "night"
FAULTS = ("service-stopped", "slow-deploys")
"""What the bad night shows: a runner that stands still while another can take the deploy, and a slow production."""

NAME = "recorded"
SERVED = "/srv/widgets"
"""Where a recording says that the target keeps its releases: this checkout's own place is nobody else's."""
READ = ("log_url", "target_url", "check_run_url")
"""The only addresses that facts read."""
WHOLE_REPOSITORIES = ("repository", "head_repository", "performed_via_github_app")
ROW = 4
"""Depth of a list's rows in github.json: path, answer, body, list. Deeper, a line holds all."""


def unread(name: str, value: Any) -> bool:
    """Whether no fact reads this member of a row."""
    if name in READ:
        return False
    if name in WHOLE_REPOSITORIES:
        return isinstance(value, dict)
    if name in ("node_id", "check_suite_node_id"):
        return True
    # One form of the canary is called `url` too.
    return (name == "url" or name.endswith("_url")) and (value is None or str(value).startswith("http"))


def pruned(value: Any) -> Any:
    """An answer's body without what no fact reads."""
    if isinstance(value, dict):
        return {name: pruned(inner) for name, inner in value.items() if not unread(name, inner)}
    return [pruned(inner) for inner in value] if isinstance(value, list) else value


def spread(value: Any, depth: int, margin: str = "") -> str:
    """JSON with a line for each member down to `depth`, so that a change of one row changes one line."""
    if depth == 0 or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=True)
    inner = margin + " "
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(name)}: {spread(each, depth - 1, inner)}" for name, each in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    return "[\n" + ",\n".join(inner + spread(each, depth - 1, inner) for each in value) + f"\n{margin}]"


def prune(directory: Path) -> None:
    """Rewrite `github.json` of a recording, small and by rows."""
    path = directory / "github.json"
    answers = json.loads(path.read_text("utf-8"))
    kept = {asked: {**answer, "body": pruned(answer["body"])} for asked, answer in answers.items()}
    path.write_text(spread(kept, ROW) + "\n", "utf-8")


def forget_machine(directory: Path) -> None:
    """Take the files that only this lab has out of a recording's context, and the digest with them."""
    context, meta = directory / "context.yml", directory / "meta.json"
    context.write_text(context_text(context.read_text("utf-8")), "utf-8")
    for path in directory.glob("monitoring.json"):
        # Prometheus is asked for the runs of this context by its name.
        path.write_text(path.read_text("utf-8").replace("%22lab%22", f"%22{NAME}%22"), "utf-8")
    digest = hashlib.sha256(context.read_bytes()).hexdigest()
    text = json.dumps({**json.loads(meta.read_text("utf-8")), "context": NAME, "digest": digest}, indent=1)
    meta.write_text(text + "\n", "utf-8")


def context_text(text: str) -> str:
    """The lab's context without its token file, its ssh_config, and the comment of who wrote it."""
    text = re.sub(r"^#.*\n", "", text)
    text = re.sub(r"^name: .*$", f"name: {NAME}", text, flags=re.MULTILINE)
    text = re.sub(r"(?<=[ '])/[^ ']*/\.lab/target(?=/)", SERVED, text)
    text = re.sub(r"^  token: .*$", "  token: {env: PREFLIGHT_GITHUB_TOKEN}", text, flags=re.MULTILINE)
    return re.sub(r"^ssh:\n(  .*\n)+", "", text, flags=re.MULTILINE)


def judged(reports: Path) -> list[list[str]]:
    """Each judgement of a run as words: check, runner, outcome, and what was seen."""
    checks = json.loads((reports / "verdict.json").read_text("utf-8"))["checks"]
    return sorted([check[name] for name in ("check", "runner", "outcome", "saw")] for check in checks)


def record(faults: Iterable[str], target: Path) -> Said:
    """One nightly run with `faults` in place; what it saw becomes `target`. LabError when the replay says otherwise."""
    reports = world.ROOT / "reports" / "latest" / "record" / target.name
    for fault in faults:
        suite.lab("break", fault)
    said = suite.gate("nightly", reports, "-q", quiet=True)
    aside = target.with_name(target.name + ".new")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(reports / "seen", aside)
    prune(aside)
    forget_machine(aside)
    replayed = suite.gate("nightly", reports / "replay", "-q", f"--seen={aside}", quiet=True)
    if different := [b for a, b in zip(judged(reports), judged(reports / "replay"), strict=True) if a != b]:
        raise LabError(f"the replay of {aside} says otherwise than the run: {different[0]}; {replayed.line}")
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target.relative_to(world.ROOT)}: {said.line} ({size / 1024:.0f} KiB)", flush=True)
    return said


def main() -> int:
    try:
        suite.lab("up")
        healthy = record((), HEALTHY)
        record(FAULTS, NIGHT)
    except LabError as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    finally:
        suite.lab("down")
    return 0 if not healthy.broken | healthy.unknown | healthy.crashed else 1


if __name__ == "__main__":
    sys.exit(main())
