"""The lab's control runner: where a gate runs that a workflow calls, and the repository that its workflows stand in.

A runner is a plain process on this machine, as people run one without a service, with the labels that the project's own
`preflight.yml` asks for. What it checks out is this project as a team would have it at the root of its repository: the
suite, the workflows as they are, and `contexts/production.yml`, which is the lab's own context. Its workspace is set up as
after a first gate: `.venv` is there.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from lab import leftovers, loopback, outside, target
from lab.context import context_text
from lab.world import MARK, REPOSITORY, Host, Lab, write

NAME = "control-runner-01"
LABELS = ("self-hosted", "Linux", "X64", "preflight-control")
SERVICE = f"listener-{NAME}"
OWN = (".git", ".lab", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "dist")
LEFT_OUT = ("tests/", "contexts/recordings/", ".github/workflows/ci.yml", "lab/repository/", "reports/latest/",
            "reports/history/")  # fmt: skip
"""What no job needs, and the project's own CI: the lab's repository has one of its own."""
KEPT = ("HOME", "LANG", "XDG_CACHE_HOME")
"""What a job on the control runner has of this machine's environment, beside the PATH."""
MESSAGE = "Adopt runner-preflight [skip ci]"


def directory(lab: Lab, name: str = NAME) -> Path:
    return loopback.home(lab, name) / "actions-runner"


def host(lab: Lab, name: str = NAME) -> Host:
    """As the lab's other runners are told of; nobody logs in there."""
    return Host(name, 0, "", 0, str(directory(lab, name)), "", "")


def files(lab: Lab) -> dict[str, str]:
    """What is pushed: this checkout's text files, but for what it keeps to itself, and the context of this lab."""
    found: dict[str, str] = {}
    for place, folders, names in os.walk(lab.root):
        below = Path(place).relative_to(lab.root)
        folders[:] = [name for name in folders if name not in OWN and not f"{below / name}/".startswith(LEFT_OUT)]
        for name in sorted(names):
            path = (below / name).as_posix()
            if path.startswith(LEFT_OUT):
                continue
            try:
                found[path] = (lab.root / path).read_text("utf-8")
            except (UnicodeDecodeError, FileNotFoundError):
                continue
    found["contexts/production.yml"] = context_text(lab, elsewhere=True)
    return found


def adopt(lab: Lab, changed: dict[str, str] | None = None) -> str:
    """Push the project's files, with those `changed`, to the default branch. The commit's sha."""
    secrets = {
        "PREFLIGHT_GITHUB_TOKEN": lab.token_file.read_text().strip(),
        "DEPLOY_KEY": target.deploy_key(lab).read_text(),
    }
    lab.request("PUT", "/_lab/secrets", secrets)
    wish = {"message": MESSAGE, "files": {**files(lab), **(changed or {})}}
    return str(lab.request("POST", "/_lab/push", wish)["sha"])


def start(lab: Lab) -> None:
    """The runner registered, in place and online. What a killed call left of it goes first."""
    if not running(lab):
        begin(lab, NAME, LABELS, lambda workspace: set_up(lab, workspace))


def begin(lab: Lab, name: str, labels: tuple[str, ...], prepare: Callable[[Path], None] = lambda _: None) -> None:
    """A runner that is a plain process of this machine, online. `prepare` gets its workspace before it starts."""
    place = directory(lab, name)
    stop(lab, name)
    shutil.rmtree(place.parent, ignore_errors=True)
    known = lab.request("POST", "/_lab/runners", {"name": name, "labels": list(labels)})
    loopback.make_agent(lab, host(lab, name), int(known["id"]))
    workspace = place / "_work" / REPOSITORY.rpartition("/")[2] / REPOSITORY.rpartition("/")[2]
    workspace.mkdir(parents=True)
    prepare(workspace)
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    path = os.pathsep.join(filter(None, (os.environ.get("PATH", ""), "/usr/local/bin:/usr/bin:/bin")))
    environ = {**kept, "PATH": path, MARK: lab.id, "PYTHONDONTWRITEBYTECODE": "1"}
    program = [str(place / "bin" / "Runner.Listener"), "run"]
    outside.start(lab, f"listener-{name}", program, cwd=place, environ=environ)
    lab.wait_online(name)


def set_up(lab: Lab, workspace: Path) -> None:
    """`.venv` as a gate before this one left it: make looks at the times of the lock and of the stamp."""
    venv = workspace / ".venv"
    (venv / "bin").mkdir(parents=True)
    for lock in ("requirements.txt", "requirements-nightly.txt"):
        shutil.copy2(lab.root / lock, workspace / lock)
    for name in ("python", "python3"):
        # Not a link: Python finds its packages by the place it was started from.
        write(venv / "bin" / name, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', 0o755)
    for stamp in ("run", "nightly"):
        if stamp == "run" or (lab.root / ".venv" / stamp).exists():
            (venv / stamp).touch()


def running(lab: Lab) -> bool:
    return outside.running(lab, SERVICE)


def stop(lab: Lab, name: str = NAME) -> None:
    """End the runner and what it runs, also where a killed call has not noted it."""
    found = []
    for pid in leftovers.parents():
        try:
            if str(directory(lab, name)).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    leftovers.end(leftovers.family(found))
