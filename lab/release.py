"""Releases of the lab: what a build would have made, for a deploy to take."""

import gzip
import hashlib
import io
import os
import shlex
import shutil
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

from lab.world import ROOT, write

REPOSITORY = ROOT / "lab" / "repository"
SCRIPT = REPOSITORY / "scripts" / "release.sh"


def files(version: str, size: int = 0, sick: bool = False) -> dict[str, str]:
    """A release's files by name, as scripts/build.sh makes them. `size` are bytes of padding in a file of their own, `sick`
    is a release whose service never comes up.
    """
    found = {file.name: file.read_text("utf-8").replace("@VERSION@", version) for file in REPOSITORY.glob("site/*")}
    found |= {"padding": ("x" * 79 + "\n") * (size // 80)} if size else {}
    return found | ({"sick": ""} if sick else {})


def archive(version: str, size: int = 0, sick: bool = False, packed: bool = True) -> bytes:
    """The same bytes each time. `packed`: tar.gz, else plain tar, which is text where the files are."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in sorted(files(version, size, sick).items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    if not packed:
        return plain.getvalue()
    return gzip.compress(plain.getvalue(), mtime=0)


def lay(place: Path, version: str, size: int = 0, sick: bool = False) -> Path:
    """An artifact `VERSION.tar.gz` in `place`, its digest beside it."""
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"{version}.tar.gz"
    file.write_bytes(archive(version, size, sick))
    file.with_name(f"{file.name}.sha256").write_text(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
    return file


def stand(home: Path, versions: Sequence[str], served: str) -> None:
    """A target as deploys of these versions, the newest first, left it; what was there before goes.

    `served` is the command that asks which of them answers.
    """
    for it in home.iterdir():
        shutil.rmtree(it) if it.is_dir() and not it.is_symlink() else it.unlink()
    releases = home / "releases"
    for age, version in enumerate(versions):
        place = releases / version
        place.mkdir(parents=True)
        for name, text in files(version).items():
            (place / name).write_text(text, "utf-8")
        (place / ".complete").touch()
        os.utime(place / ".complete", (time.time() - 60 * age,) * 2)
    for link, version in zip(("current", "previous"), versions, strict=False):
        point(home / link, version)
    point(home / "good", versions[0])
    settings = {"RELEASE_ROOT": str(home), "RELEASE_SERVED": served}
    write(home / "release.conf", "".join(f"{name}={shlex.quote(text)}\n" for name, text in settings.items()))


def point(link: Path, version: str) -> None:
    part = link.with_name(f"{link.name}.new")
    part.unlink(missing_ok=True)
    part.symlink_to(f"releases/{version}")
    part.replace(link)
