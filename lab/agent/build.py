"""What was installed, as the installation itself tells it."""

import re
from pathlib import Path


def version_of(root: Path) -> str:
    """The version of the build, from the same file that tells it to everybody else."""
    try:
        text = (root / "bin" / "Runner.Listener.deps.json").read_text("utf-8")
    except OSError:
        text = ""
    found = re.search(r'"Runner\.Listener/([0-9.]+)"', text)
    return found[1] if found else "0.0.0"
