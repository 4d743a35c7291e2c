"""`python -m reports.textfile DIR`: the last run's metrics.prom, put where node_exporter's textfile collector reads.

Written aside and renamed, as the collector asks: it may read at any moment. A file for each context and profile, so that
the nightly's does not take the quick gate's place.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote

from fixtures.errors import Refused
from reports import metrics

LABELS = re.compile(r'\{context="((?:[^"\\]|\\.)*)",profile="([a-z]+)"')


def name_of(text: str) -> str:
    """The file's name, from what its series say of themselves. Raises Refused."""
    found = LABELS.search(text)
    if found is None:
        raise Refused("these are no metrics of this suite: no series has context and profile")
    return f"runner-preflight-{quote(found[1], safe='')}-{found[2]}.prom"


def put(source: Path, directory: Path) -> Path:
    """Raises Refused for what cannot be read or written."""
    try:
        text = source.read_text("utf-8")
        target = directory / name_of(text)
        # Not *.prom: the collector takes every such file.
        aside = target.with_suffix(".new")
        aside.write_text(text, "utf-8")
        aside.chmod(0o644)
        os.replace(aside, target)
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from None
    return target


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.textfile", description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--reports", type=Path, default=Path("reports/latest"))
    given = parser.parse_args(argv)
    try:
        print(put(given.reports / metrics.NAME, given.directory))
    except Refused as refused:
        print(f"no metrics for the collector: {refused}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
