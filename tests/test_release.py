"""What is released: an archive that is the same each time, of what git knows, with what a reader of it needs."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from datetime import date
from pathlib import Path

import pytest
import yaml

from fixtures.context import Walker
from fixtures.facts import context
from fixtures.facts.contextkeys import key
from tests.worlds import ROOT

VERSION = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]  # type: ignore[index]


def run(where: Path, *argv: str, code: int = 0) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"GIT_CONFIG_GLOBAL": "/dev/null", "TZ": "Asia/Tokyo" if "second" in str(where) else "UTC"}
    done = subprocess.run(argv, cwd=where, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two clones of one commit that holds today's files, made at two times in two places."""
    origin = tmp_path_factory.mktemp("origin")
    tracked = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (origin / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, origin / name)
    run(origin, "git", "init", "-q")
    run(origin, "git", "add", "-A")
    run(origin, "git", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x")
    found = []
    for name in ("first", "second"):
        run(origin.parent, "git", "clone", "-q", str(origin), str(origin.parent / name))
        found.append(origin.parent / name)
    return found


def test_the_same_commit_gives_the_same_bytes(clones: list[Path]) -> None:
    sums = set()
    for clone in clones:
        said = run(clone, "make", "--silent", "dist")
        file = clone / "dist" / f"runner-preflight-{VERSION}.tar.gz"
        sums.add(hashlib.sha256(file.read_bytes()).hexdigest())
        assert said.split()[0] in sums and file.with_name(f"{file.name}.sha256").read_text() == said
    assert len(sums) == 1


def test_the_archive_is_what_git_knows_and_nothing_else(clones: list[Path]) -> None:
    (clones[0] / ".lab").mkdir(exist_ok=True)
    (clones[0] / ".lab" / "token").write_text("ghp_")
    run(clones[0], "make", "--silent", "dist")
    with tarfile.open(clones[0] / "dist" / f"runner-preflight-{VERSION}.tar.gz") as archive:
        names = {m.name.split("/", 1)[1] for m in archive.getmembers() if m.isfile() or m.issym()}
    known = set(filter(None, run(clones[0], "git", "ls-files", "-z").split("\0")))
    assert names == known
    assert {"LICENSE", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md", "action.yml", "requirements.txt"} <= names


def test_what_is_not_committed_is_not_released(clones: list[Path]) -> None:
    (clones[1] / "new.py").write_text("")
    assert "takes a clean commit" in run(clones[1], "make", "--silent", "dist", code=2)
    (clones[1] / "new.py").unlink()


def test_the_changelog_tells_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"\n## {VERSION}" in text
    assert re.findall(r"^## (\d+\.\d+\.\d+)", text, re.MULTILINE)[0] == VERSION, "the newest stands first"


@dataclasses.dataclass(frozen=True)
class Moved:
    lock: str = key("the lock", was=("mutex", "concurrency"))
    until: date = key("the last day", date(2027, 1, 1))


@pytest.mark.parametrize("old", ["mutex", "concurrency"])
def test_an_old_key_is_told_its_successor(old: str) -> None:
    walker = Walker(Path("w.yml"))
    node = yaml.compose(f"{old}: x\n", Loader=yaml.SafeLoader)
    assert node is not None and walker.value(node, Moved, "deploy") is None
    assert str(walker.faults[0]) == f"w.yml:1: deploy.{old}: is called lock now; see CHANGELOG.md"


def test_the_changelog_lists_every_key_that_was_renamed() -> None:
    table = (ROOT / "CHANGELOG.md").read_text().split("## Upgrading a context")[1]
    for kind in vars(context).values():
        if dataclasses.is_dataclass(kind):
            for field in dataclasses.fields(kind):
                for old in field.metadata.get("was", ()):
                    assert re.search(rf"^\| `[\w.]*{old}` \| `[\w.]*{field.name}` \|", table, re.MULTILINE), old
                    assert old not in {f.name for f in dataclasses.fields(kind)}, f"{old} is a key again"


def test_contributing_answers_how_a_check_is_added() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert "## How do I add a check?" in text
    for place in ("checks/", "lab/", "contexts/", "HOST_FACTS", "LOOKS", "ELSEWHERE"):
        assert place in text
