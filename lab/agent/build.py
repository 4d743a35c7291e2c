"""What was installed, as the installation itself tells it."""

import json
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


def work_of(root: Path) -> Path:
    """The work directory that `.runner` names."""
    settings = json.loads((root / ".runner").read_text(encoding="utf-8-sig"))
    folder = str({key.casefold(): value for key, value in settings.items()}.get("workfolder", "_work"))
    return Path(folder) if folder.startswith("/") else root / folder
