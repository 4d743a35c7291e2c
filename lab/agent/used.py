"""The three actions that the lab's runner does: checkout, upload-artifact, download-artifact. What else a step uses fails it.

As their present versions do it (actions/checkout without git in PATH: "The repository will be downloaded using the GitHub REST
API", so there is no history; artifacts are zip archives, one name once a run), and with no input passed over: one that is
not known here fails the step too.
"""

import base64
import glob
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.agent.wire import Trouble, Wire

CHECKOUT = ("repository", "ref", "path", "clean", "persist-credentials", "fetch-depth")
UPLOAD = (
    "name",
    "path",
    "if-no-files-found",
    "retention-days",
    "overwrite",
    "include-hidden-files",
    "compression-level",
)
DOWNLOAD = ("name", "path", "merge-multiple")
LAID = "_checked_out.json"
"""In the work directory: what the last checkout laid down, by place. git has its index for that."""


class Failed(Exception):
    """An action's error, in a sentence."""


def truth(given: Mapping[str, str], name: str, default: bool) -> bool:
    """Raises Failed for what is no truth value."""
    word = given.get(name, str(default)).strip().casefold()
    if word not in ("true", "false"):
        raise Failed(f'Input does not meet YAML 1.2 "Core Schema" specification: {name}')
    return word == "true"


@dataclass
class Uses:
    """`say` takes one line for the log."""

    wire: Wire
    job: int
    runner: str
    repository: str
    workspace: Path
    say: Callable[[str], None]

    def run(self, uses: str, given: Mapping[str, str]) -> dict[str, str]:
        """The step's outputs. Raises Failed."""
        name = uses.split("@")[0]
        acts = {
            "actions/checkout": (CHECKOUT, self.checkout),
            "actions/upload-artifact": (UPLOAD, self.upload),
            "actions/download-artifact": (DOWNLOAD, self.download),
        }
        if name not in acts:
            raise Failed(f"The lab's runner has no {uses}")
        known, act = acts[name]
        if strange := sorted(set(given) - set(known)):
            raise Failed(f"The lab's {name} does not know {', '.join(strange)}")
        return act(given)

    def ask(self, verb: str, body: Mapping[str, object]) -> tuple[int, dict[str, object]]:
        try:
            return self.wire.post(f"jobs/{self.job}/{verb}", {"runner": self.runner, **body})
        except Trouble as error:
            raise Failed(f"{type(error).__name__}: {error}") from None

    def inside(self, path: str) -> Path:
        """A path below the workspace. Raises Failed for one that leads out of it."""
        place = self.workspace / path
        if not place.resolve().is_relative_to(self.workspace.resolve()):
            raise Failed(f"{path} is not below the workspace")
        return place

    def checkout(self, given: Mapping[str, str]) -> dict[str, str]:
        if given.get("repository", self.repository) != self.repository:
            raise Failed(f"The lab has no repository {given['repository']}")
        target, clean = self.inside(given.get("path", "")), truth(given, "clean", True)
        truth(given, "persist-credentials", True)
        self.say(f"Syncing repository: {self.repository}")
        self.say("The repository will be downloaded using the GitHub REST API")
        status, told = self.ask("source", {"ref": given.get("ref", "")})
        files = told.get("files")
        if status != 200 or not isinstance(files, dict):
            raise Failed(str(told.get("message")))
        note = self.workspace.parent.parent / LAID
        try:
            laid = json.loads(note.read_text("utf-8"))
        except (OSError, ValueError):
            laid = {}
        for name in laid.get(str(target), []):
            if name not in files:
                (target / name).unlink(missing_ok=True)
        if clean and target.is_dir():
            sweep(target, files)
        for name, body in files.items():
            lay(target / name, base64.b64decode(body))
        note.write_text(json.dumps({**laid, str(target): sorted(files)}), "utf-8")
        self.say(f"HEAD is now at {str(told.get('sha'))[:7]}")
        return {"commit": str(told.get("sha")), "ref": given.get("ref", "")}

    def upload(self, given: Mapping[str, str]) -> dict[str, str]:
        if "path" not in given:
            raise Failed("Input required and not supplied: path")
        name, hidden = given.get("name", "artifact"), truth(given, "include-hidden-files", False)
        root, found = chosen(self.workspace, given["path"], hidden)
        if not found:
            words = f"No files were found with the provided path: {given['path']}. No artifacts will be uploaded."
            what = given.get("if-no-files-found", "warn")
            if what == "error":
                raise Failed(words)
            if what == "warn":
                self.say(f"##[warning]{words}")
            return {}
        count = "1 file" if len(found) == 1 else f"{len(found)} files"
        self.say(f"With the provided path, there will be {count} uploaded")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in found:
                packed.write(path, path.relative_to(root).as_posix())
        body = {
            "name": name,
            "zip": base64.b64encode(archive.getvalue()).decode(),
            "days": int(given.get("retention-days") or 0),
            "overwrite": truth(given, "overwrite", False),
        }
        status, told = self.ask("upload", body)
        if status == 409:
            raise Failed(
                f"Failed to CreateArtifact: Received non-retryable error: Failed request: (409) Conflict: {told.get('message')}"
            )
        if status != 201:
            raise Failed(f"Failed to CreateArtifact: {told.get('message')}")
        self.say(
            f"Artifact {name} has been successfully uploaded! Final size is {told.get('size')} bytes. Artifact ID is {told.get('id')}"
        )
        return {"artifact-id": str(told.get("id")), "artifact-digest": str(told.get("digest")).removeprefix("sha256:")}

    def download(self, given: Mapping[str, str]) -> dict[str, str]:
        name, target = given.get("name", ""), self.inside(given.get("path", ""))
        merged = truth(given, "merge-multiple", False)
        status, told = self.ask("download", {"name": name})
        found = told.get("artifacts")
        if status != 200 or not isinstance(found, list):
            raise Failed(f"Unable to download artifact(s): {told.get('message')}")
        for one in found:
            place = target if name or merged else self.inside(str(target / one["name"]))
            place.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(io.BytesIO(base64.b64decode(one["zip"]))) as packed:
                packed.extractall(place)
            self.say(f"Artifact {one['name']} downloaded to {place}")
        return {"download-path": str(target)}


def sweep(target: Path, files: Mapping[str, object]) -> None:
    """Everything that is not of the commit goes, as after `git clean -ffdx`."""
    kept = {target / name for name in files}
    kept |= {above for path in kept for above in path.parents}
    for place in sorted(target.rglob("*"), reverse=True):
        if place in kept and not place.is_symlink():
            continue
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def lay(place: Path, body: bytes) -> None:
    """A file of a commit. One that is the same already keeps its time, by which make judges it."""
    mode = 0o755 if body.startswith(b"#!") else 0o644
    try:
        same = not place.is_symlink() and place.read_bytes() == body
    except OSError:
        same = False
    if not same:
        if place.is_symlink() or place.is_file():
            place.unlink()
        elif place.is_dir():
            shutil.rmtree(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)
    place.chmod(mode)


def chosen(workspace: Path, paths: str, hidden: bool) -> tuple[Path, list[Path]]:
    """What `path` names, one pattern a line, `!` for what is left out; and the directory that the archive's names start at:
    the one deepest that holds all that was asked for. Links are followed as files."""
    roots: list[Path] = []
    found: set[Path] = set()
    for line in filter(None, (line.strip() for line in paths.splitlines())):
        pattern = str(workspace / line.removeprefix("!"))
        matched = {
            path
            for place in glob.iglob(pattern, recursive=True, include_hidden=hidden)
            for path in below(Path(place), hidden)
        }
        if line.startswith("!"):
            found -= matched
            continue
        found |= matched
        fixed = Path(pattern)
        while glob.has_magic(str(fixed)):
            fixed = fixed.parent
        roots.append(fixed.parent if fixed.is_file() else fixed)
    root = Path(os.path.commonpath(roots)) if roots else workspace
    return root, sorted(found)


def below(place: Path, hidden: bool) -> Iterator[Path]:
    """The files of a directory, or the file itself."""
    if place.is_file():
        yield place
    elif place.is_dir():
        for inner in sorted(place.iterdir()):
            if hidden or not inner.name.startswith("."):
                yield from below(inner, hidden)
