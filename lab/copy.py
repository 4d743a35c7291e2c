"""A copy of the checkout for a lab of its own: a lab's id follows from where it is."""

import shutil
import subprocess
from pathlib import Path

from lab.process import LabError

STATE = (".lab", "reports", "part.json")
"""What belongs to the copy itself and stays in it."""


def copy_checkout(source: Path, target: Path) -> None:
    """Make `target` hold what git knows of `source`, and new files that it does not ignore; old files of a copy go.

    What a lab in an earlier copy left is kept: its next `up` or `down` needs it.
    """
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=source, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        raise LabError(f"{source}: a copy needs a git checkout: {error}") from error
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        if old.name not in STATE:
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for name in filter(None, listed.stdout.split("\0")):
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)
