"""The gate as a process of its own, in a small tree of its own, with a GitHub of its own: nothing outside this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import yaml

ROOT = Path(__file__).resolve().parents[1]
HEALTHY = ROOT / "tests" / "recordings" / "healthy"
NIGHT = ROOT / "contexts" / "recordings" / "night"
REPOSITORY = "/repos/acme/widgets"
MEDDLING = ("PYTEST", "PREFLIGHT_", "GITHUB_", "RUNNER_", "PYTHONOPTIMIZE", "PYTHONPATH", "COV_")

# Four checks that hold in the world below: two of each runner, two of production.
CHECKS = '''
from checks.guarantees import FAILOVER, RUNNER_HEALTH, SERIALIZATION, verifies


@verifies(RUNNER_HEALTH, "reachable", severity="blocks", when="quick", per="runner", rollback=True, remedy="ssh {runner.host} true")
def test_reachable(runner, contact):
    """The host answers."""
    assert contact.answered, contact


@verifies(RUNNER_HEALTH, "registered", severity="blocks", when="quick", per="runner", rollback=True, remedy="register {runner.name}")
def test_registered(runner, registrations):
    """GitHub lists the runner with its labels."""
    found = registrations.named(runner.name)
    assert found, f"GitHub lists no runner named {runner}"
    assert {label.casefold() for label in runner.labels} <= found[0].labels, f"{runner} lacks a label"


@verifies(FAILOVER, "choice-binds", severity="blocks", when="quick", rollback=True, waivable=False, remedy="give each runner a label of its own")
def test_choice_binds(gate_choices):
    """Only approved runners can take what is emitted."""
    for choice in gate_choices:
        assert not choice.strangers, choice


@verifies(SERIALIZATION, "one-lock", severity="blocks", when="quick", rollback=True, waivable=False, remedy="take the lock")
def test_one_lock(world):
    """There is one lock."""
    assert world.deploy.lock
'''


@dataclass(frozen=True)
class Ran:
    """What one run of the gate left. `verdict` is verdict.json, which was held against its schema; {} where there is none."""

    code: int
    output: str
    reports: Path
    verdict: Mapping[str, Any]

    @property
    def word(self) -> str:
        return str(self.verdict.get("verdict", ""))

    @property
    def line(self) -> str:
        return str(self.verdict.get("line", ""))

    def outcomes(self) -> dict[str, str]:
        """The outcome of each judgement, as `guarantee/slug[runner]`."""
        return {j["check"] + (f"[{j['runner']}]" if j["runner"] else ""): j["outcome"] for j in self.verdict["checks"]}

    def saw(self, check: str) -> str:
        return next(str(j["saw"]) for j in self.verdict["checks"] if j["check"] == check)


@cache
def _schema() -> Any:
    return json.loads((ROOT / "reports" / "verdict.schema.json").read_text("utf-8"))


def verdict_in(reports: Path) -> dict[str, Any]:
    """verdict.json, valid by its schema; {} where there is none."""
    file = reports / "verdict.json"
    if not file.exists():
        return {}
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    jsonschema.Draft202012Validator(_schema(), format_checker=jsonschema.FormatChecker()).validate(found)
    return found


def environ(home: Path, **more: str) -> dict[str, str]:
    """This process's environment without what could change a run; `home` keeps the caches and the ssh settings apart."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(MEDDLING) and not name.lower().endswith("_proxy")
    }
    return (
        kept
        | {
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "PREFLIGHT_GITHUB_TOKEN": "test-token-of-no-worth",
            "NO_PROXY": "*",
        }
        | more
    )


def command(*args: str, python: Sequence[str] = ()) -> list[str]:
    return [sys.executable, *python, "-m", "pytest", *args]


def run(
    tree: Path,
    *args: str,
    reports: Path,
    env: Mapping[str, str] | None = None,
    python: Sequence[str] = (),
    cwd: Path | None = None,
) -> Ran:
    """pytest with these arguments in `tree`; its reports go to `reports`, where an earlier run may have left a verdict."""
    done = subprocess.run(
        command(f"--reports={reports}", *args, python=python),
        cwd=cwd or tree,
        env=environ(reports.parent, **(env or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, reports, verdict_in(reports))


def day(offset: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=offset)).isoformat()


def runner(name: str, role: str = "primary", **more: Any) -> dict[str, Any]:
    """A runner of a context, approved, on this very machine, with a label of its own."""
    given = {
        "name": name,
        "role": role,
        "directory": "/opt/actions-runner",
        "user": "runner",
        "labels": ["self-hosted", "production", name],
        "runs_on": ["self-hosted", name],
        "connection": "local",
        "supervisor": "process",
        "approved": {"by": "production-owner", "ticket": "INFRA-1", "until": day(100)},
    } | more
    return {key: value for key, value in given.items() if value is not None}


def context(api: str, **more: Any) -> dict[str, Any]:
    """A world of two local runners, prod-1 and prod-2."""
    return {
        "version": 1,
        "name": "small",
        "github": {"repository": "acme/widgets", "token": {"env": "PREFLIGHT_GITHUB_TOKEN"}, "api_url": api},
        "environment": {"name": "production"},
        "secrets": ["DEPLOY_KEY"],
        "deploy": {"workflow": ".github/workflows/deploy.yml", "job": "deploy", "lock": "production"},
        "rollback": {"workflow": ".github/workflows/rollback.yml", "input": "version"},
        "runners": [runner("prod-1"), runner("prod-2", "secondary")],
        "targets": [],
        **more,
    }


def waiver(check: str, **more: Any) -> dict[str, Any]:
    return {"check": check, "reason": "known", "by": "owner", "ticket": "INFRA-2", "until": day(7), **more}


@dataclass
class Tree:
    """A copy of the project with checks of its own. `world` is written to contexts/small.yml before each run."""

    path: Path
    world: dict[str, Any]

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return file

    def check(
        self,
        body: str,
        *,
        marks: str = "",
        args: str = "",
        head: str = "",
        slug: str = "never-cut",
        severity: str = "blocks",
        more: str = "",
    ) -> None:
        """One more check, serialization/never-cut: the one that cheats."""
        self.write(
            f"checks/test_{slug.replace('-', '_')}.py",
            f"{head}\nimport pytest\nfrom checks.guarantees import SERIALIZATION, verifies\nfrom fixtures.facts.seen import NotApplicable, Unseen\n\n"
            f'{marks}\n@verifies(SERIALIZATION, "{slug}", severity="{severity}", when="quick", remedy="mend it"{more})\n'
            f'def test_{slug.replace("-", "_")}({args}):\n    """Never cut."""\n    {body}\n',
        )

    def rewrite(self, name: str, old: str, new: str) -> None:
        text = (self.path / name).read_text("utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def arrange(self) -> None:
        self.write("contexts/small.yml", yaml.safe_dump(self.world, sort_keys=False))

    def run(
        self, *args: str, env: Mapping[str, str] | None = None, python: Sequence[str] = (), cwd: Path | None = None
    ) -> Ran:
        """The gate in this tree. An old "deploy" lies where its verdict goes: only the run itself can take it away."""
        self.arrange()
        leave_deploy(self.reports)
        return run(self.path, *args, reports=self.reports, env=env, python=python, cwd=cwd)

    @property
    def reports(self) -> Path:
        return self.path.parent / "reports"

    def verdict(self) -> dict[str, Any]:
        return verdict_in(self.reports)

    def gate(self, *args: str, env: Mapping[str, str] | None = None) -> Ran:
        return self.run("--profile", "quick", *args, env=env)


OLD = {
    "format": 1,
    "verdict": "deploy",
    "state": "finished",
    "line": "an old one",
    "exit": 0,
    "runner": "prod-1",
    "runs-on": ["prod-1"],
    "time": "2026-01-01T00:00:00Z",
    "expires": "2026-01-01T00:15:00Z",
    "run": {"id": "", "attempt": ""},
    "checks": [],
}


def leave_deploy(reports: Path) -> None:
    """What an earlier run said: deploy."""
    reports.mkdir(exist_ok=True)
    (reports / "verdict.json").write_text(json.dumps(OLD), "utf-8")


def plant(tree: Path) -> None:
    """The project without its own checks, tests and contexts, and with the four small checks instead."""
    ignore = shutil.ignore_patterns("latest", "history", "*.md")
    for name in ("fixtures", "reports"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignore)
    for name in ("conftest.py", "pyproject.toml", "checks/__init__.py", "checks/guarantees.py"):
        (tree / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    (tree / "checks" / "test_small.py").write_text(CHECKS, "utf-8")


@dataclass
class GitHub:
    """A GitHub that knows one repository of a user, its runners, and one run. `asked` holds every path it
    was asked for; it denies to have what is `hidden`; `headers` come with every answer."""

    url: str
    runners: list[dict[str, Any]] = field(default_factory=list)
    approvals: list[dict[str, Any]] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def register(self, name: str, *, busy: bool = False, labels: Sequence[str] = ()) -> None:
        worn = labels or ("self-hosted", "production", name)
        row = {
            "id": len(self.runners) + 1,
            "name": name,
            "os": "linux",
            "status": "online",
            "busy": busy,
            "labels": [{"id": 1, "name": label, "type": "custom"} for label in worn],
        }
        self.runners = [r for r in self.runners if r["name"] != name] + [row]

    def answer(self, path: str) -> Any:
        known = {
            REPOSITORY: {
                "id": 1,
                "full_name": "acme/widgets",
                "owner": {"login": "acme", "type": "User"},
                "default_branch": "main",
            },
            f"{REPOSITORY}/actions/runners": {"total_count": len(self.runners), "runners": self.runners},
            f"{REPOSITORY}/actions/runs/77": {"id": 77, "actor": {"id": 1}, "triggering_actor": {"id": 1}},
            f"{REPOSITORY}/actions/runs/77/approvals": self.approvals,
        }
        return None if path in self.hidden else known.get(path)


@contextmanager
def github() -> Iterator[GitHub]:
    """A GitHub on loopback with prod-1 and prod-2, idle and online."""
    served = GitHub("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append(self.path)
            found = served.answer(self.path.split("?")[0])
            body = json.dumps(found if found is not None else {"message": "Not Found"}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        served.register("prod-1")
        served.register("prod-2")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
