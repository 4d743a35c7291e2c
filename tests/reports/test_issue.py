"""The nightly's one issue, against a GitHub that keeps issues."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reports import issue

CHECKS = [{"check": "failover/one", "severity": "blocks", "outcome": "broken"}]
HOLDS = {"verdict": "deploy", "line": "√ deploy on prod-1", "context": {"name": "production"}, "checks": []}
BLOCKS = {
    "verdict": "hold",
    "line": "× do not deploy: failover/one",
    "context": {"name": "production"},
    "checks": CHECKS,
}


class Issues:
    """A repository with issues. `refuse` is a status that every answer has instead."""

    def __init__(self) -> None:
        self.private = True
        self.refuse = 0
        self.rows: list[dict[str, Any]] = []
        self.asked: list[str] = []
        outer = self

        class Door(BaseHTTPRequestHandler):
            def answer(self, method: str) -> None:
                size = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(size)) if size else {}
                outer.asked.append(f"{method} {self.path}")
                code, told = outer.act(method, self.path.split("?")[0].removeprefix("/repos/acme/widgets"), body)
                raw = json.dumps(told).encode()
                self.send_response(outer.refuse or code)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_GET(self) -> None:
                self.answer("GET")

            def do_POST(self) -> None:
                self.answer("POST")

            def do_PATCH(self) -> None:
                self.answer("PATCH")

            def log_message(self, *args: object) -> None:
                return None

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def act(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if (method, path) == ("GET", ""):
            return 200, {"private": self.private}
        if (method, path) == ("GET", "/issues"):
            return 200, [row for row in self.rows if row["state"] == "open"]
        if (method, path) == ("POST", "/issues"):
            self.rows.append({"number": len(self.rows) + 1, "state": "open", "said": [], **body})
            return 201, self.rows[-1]
        row = self.rows[int(path.split("/")[2]) - 1]
        if path.endswith("/comments"):
            row["said"].append(body["body"])
        else:
            row |= body
        return 200, row


@pytest.fixture
def github() -> Iterator[Issues]:
    made = Issues()
    yield made
    made.http.shutdown()
    made.http.server_close()


def night(github: Issues, where: Path, verdict: Any, summary: str = "# What blocks", *argv: str) -> str:
    (where / "verdict.json").write_text(verdict if isinstance(verdict, str) else json.dumps(verdict))
    (where / "summary.md").write_text(summary)
    environ = {
        "GITHUB_REPOSITORY": "acme/widgets",
        "GITHUB_TOKEN": "x",
        "GITHUB_API_URL": github.url,
        "GITHUB_RUN_ID": "7",
    }
    return issue.told(where, "--public" in argv, environ)


def test_a_week_of_nights(github: Issues, tmp_path: Path) -> None:
    assert night(github, tmp_path, HOLDS) == "nothing blocks, and no issue is open"
    assert night(github, tmp_path, BLOCKS) == "issue 1 is opened"
    assert github.rows[0]["title"] == "Nightly: production does not hold" and "# What blocks" in github.rows[0]["body"]
    assert "https://github.com/acme/widgets/actions/runs/7" in github.rows[0]["body"]
    assert night(github, tmp_path, BLOCKS, "# Still") == "issue 1 is up to date"
    assert "# Still" in github.rows[0]["body"] and len(github.rows) == 1
    assert night(github, tmp_path, HOLDS) == "it holds again: issue 1 is closed"
    assert github.rows[0]["state"] == "closed" and "√ deploy on prod-1" in github.rows[0]["said"][0]
    assert night(github, tmp_path, BLOCKS) == "issue 2 is opened", "another night's trouble is another issue"


def test_two_worlds_have_two_issues(github: Issues, tmp_path: Path) -> None:
    night(github, tmp_path, BLOCKS)
    night(github, tmp_path, {**BLOCKS, "context": {"name": "staging"}})
    assert [row["title"] for row in github.rows] == [
        "Nightly: production does not hold",
        "Nightly: staging does not hold",
    ]
    assert night(github, tmp_path, HOLDS) == "it holds again: issue 1 is closed"
    assert github.rows[1]["state"] == "open"


@pytest.mark.parametrize("verdict", ["", "{", "[]", "{}", json.dumps({"verdict": "unknown", "state": "running"})])
def test_a_nightly_that_left_no_verdict_blocks(github: Issues, tmp_path: Path, verdict: str) -> None:
    assert night(github, tmp_path, verdict) == "issue 1 is opened"


def test_the_weeks_of_report_only_tell_of_what_would_block(github: Issues, tmp_path: Path) -> None:
    assert night(github, tmp_path, {**BLOCKS, "verdict": "report"}) == "issue 1 is opened"
    warned = {**BLOCKS, "verdict": "report", "checks": [{**CHECKS[0], "severity": "warns"}]}
    assert night(github, tmp_path, warned) == "it holds again: issue 1 is closed"


def test_on_a_public_repository_nothing_is_said_unless_asked(github: Issues, tmp_path: Path) -> None:
    github.private = False
    assert "is public: no issue" in night(github, tmp_path, BLOCKS)
    assert github.rows == [] and github.asked == ["GET /repos/acme/widgets"]
    assert night(github, tmp_path, BLOCKS, "x", "--public") == "issue 1 is opened"


def test_a_summary_that_is_too_long_is_cut_at_a_line(github: Issues, tmp_path: Path) -> None:
    night(github, tmp_path, BLOCKS, "line of a card\n" * 10_000)
    body = github.rows[0]["body"]
    assert len(body) <= issue.MOST and "the rest is in the report" in body and "actions/runs/7" in body


def test_a_secret_never_reaches_the_issue(github: Issues, tmp_path: Path) -> None:
    token = "ghp_" + "b" * 36
    night(github, tmp_path, {**BLOCKS, "line": f"× {token}"}, f"saw {token}")
    assert token not in json.dumps(github.rows)


@pytest.mark.parametrize(("status", "hint"), [(403, "issues: write"), (404, "issues: write"), (500, "answered 500")])
def test_a_refusal_is_said_and_is_no_success(
    github: Issues,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    hint: str,
) -> None:
    github.refuse = status
    for name, value in (("GITHUB_REPOSITORY", "acme/widgets"), ("GITHUB_TOKEN", "x"), ("GITHUB_API_URL", github.url)):
        monkeypatch.setenv(name, value)
    assert issue.main(["--reports", str(tmp_path)]) == 4
    assert hint in capsys.readouterr().err


def test_a_repository_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", "../x")
    assert issue.main(["--reports", str(tmp_path)]) == 4
