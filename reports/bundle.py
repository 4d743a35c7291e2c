"""`python -m reports.bundle [DIR]`: a run's report and what it saw as one archive, to attach to an incident.

What goes in was redacted when it was written. The archive is read back all the same, and thrown away if it holds anything
that is, or looks like, a secret.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from fixtures import context as contexts
from fixtures import secrets
from fixtures.errors import Refused
from fixtures.lastdoor import guard

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("report.html", "verdict.json", "summary.md", "metrics.prom", "junit.xml", "seen")
WRONG_CALL = 4


def files(place: Path) -> Iterator[Path]:
    """What belongs to a run, in a fixed order; nothing else that lies there."""
    for name in NAMES:
        path = place / name
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())


def pack(place: Path, archive: Path) -> list[str]:
    """Writes the archive and gives the names in it. The same run gives the same bytes."""
    folder = archive.name.removesuffix(".tar.gz")
    names = []
    with gzip.GzipFile(archive, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path in files(place):
            data = path.read_bytes()
            entry = tarfile.TarInfo(f"{folder}/{path.relative_to(place).as_posix()}")
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
            names.append(entry.name)
    return names


def leaks(archive: Path, known: tuple[secrets.Secret, ...]) -> list[str]:
    """Where the archive holds a secret: member and line, and why; never the value."""
    secrets.ROOM.learn(*known)
    found = []
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            text = file.read().decode("utf-8", errors="replace") if file else ""
            clean = secrets.ROOM.sure(text)
            if clean != text:
                at = next((n for n, (a, b) in enumerate(zip(text, clean, strict=False)) if a != b), len(clean))
                found.append(f"{member.name}:{text.count(chr(10), 0, at) + 1}")
    return found


def token_of(place: Path) -> tuple[secrets.Secret, ...]:
    """The gate's own token, where its context still leads to it."""
    try:
        world = contexts.read(place / "seen" / "context.yml")
        return (secrets.fetch(world.github.token, dict(os.environ)),) if world.github.token else ()
    except Refused:
        return ()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.bundle", description=__doc__)
    parser.add_argument("reports", nargs="?", default=str(ROOT / "reports" / "latest"), metavar="DIR")
    place = Path(parser.parse_args(argv).reports).absolute()
    guard()
    try:
        said = json.loads((place / "verdict.json").read_text("utf-8"))
        state, time = str(said["state"]), str(said["time"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{place}: holds no run's verdict.json ({type(error).__name__}); run the gate first", file=sys.stderr)
        return WRONG_CALL
    if state != "finished":
        print(f"{place}: the run there is {state}, not finished; there is nothing to pack yet", file=sys.stderr)
        return WRONG_CALL
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", f"preflight-{said['context']['name']}-{time.replace(':', '')}")
    archive = place.parent / f"{name}.tar.gz"
    names = pack(place, archive)
    if bad := leaks(archive, token_of(place)):
        archive.unlink()
        print(
            f"no archive was made: {', '.join(bad)} would hold a secret. Please report which check printed it, and rotate it",
            file=sys.stderr,
        )
        return 1
    print(f"{archive}: {len(names)} files; nothing in it is, or looks like, a secret")
    return 0


if __name__ == "__main__":
    sys.exit(main())
