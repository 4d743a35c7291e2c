"""`python -m reports.issue`: the nightly's one issue. It is opened when something blocks, kept up to date while it does, and
closed when everything holds again.

The issue is known by a line that nobody reads, which names the context; people may rename, label and assign it. On a
public repository none is opened without `--public`: what it says is a map for whoever would like to break in.
Needs `issues: write` for the token in GITHUB_TOKEN, which is the workflow's own and never the gate's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from fixtures.errors import Refused
from fixtures.facts.context import REPOSITORY
from fixtures.secrets import ROOM
from reports import summary

SECONDS = 20
MOST = 60_000
"""Characters of a body; GitHub takes 65536."""
PAGES = 10
BLOCKED = frozenset({"broken", "unknown", "crashed"})


class GitHub:
    """Issues of one repository. Every method raises Refused for an answer that is no success."""

    def __init__(self, api: str, repository: str, token: str) -> None:
        self._base = f"{api.rstrip('/')}/repos/{repository}"
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"})
        self._token = token

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = self._session.request(
                method, self._base + path, json=body, auth=self._sign, timeout=SECONDS, allow_redirects=False
            )
            found = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise Refused(f"GitHub's {path or '/'}: no answer ({ROOM(str(error))[:200]})") from None
        if not 200 <= answer.status_code < 300:
            hint = "; the job's token needs issues: write" if answer.status_code in (403, 404) else ""
            raise Refused(f"GitHub's {path or '/'}: it answered {answer.status_code}{hint}")
        return found

    def public(self) -> bool:
        """What is not said to be private is public."""
        return self.ask("GET", "").get("private") is not True

    def open_issue(self, mark: str) -> int:
        """The number of the open issue that bears the mark, the oldest if there are more; 0 for none."""
        found = []
        for page in range(1, PAGES + 1):
            rows = self.ask("GET", f"/issues?state=open&creator=app%2Fgithub-actions&per_page=100&page={page}")
            found += [row["number"] for row in rows if mark in (row.get("body") or "") and "pull_request" not in row]
            if len(rows) < 100:
                break
        return min(found, default=0)


def blocks(verdict: Mapping[str, Any]) -> bool:
    """Whether this run says that something blocks. A run in report-only never holds, and still may say so."""
    if verdict.get("verdict") == "report":
        return any(c.get("severity") == "blocks" and c.get("outcome") in BLOCKED for c in verdict.get("checks") or [])
    return verdict.get("verdict") != "deploy"


def body(mark: str, verdict: Mapping[str, Any], page: str, run_url: str) -> str:
    """The summary of the run, and where the rest of it is."""
    way = f"\n[The run]({run_url}), with the whole report as its artifact.\n" if run_url else ""
    room = MOST - len(mark) - len(way) - 200
    text = page if len(page) <= room else page[:room].rsplit("\n", 1)[0] + "\n\n… the rest is in the report.\n"
    return f"{mark}\n{text or verdict.get('line', 'the nightly left no summary')}\n{way}"


def tell(github: GitHub, verdict: Mapping[str, Any], page: str, run_url: str, name: str) -> str:
    """What was done, in a sentence."""
    mark = f"<!-- runner-preflight nightly: {name} -->"
    line = ROOM(str(verdict.get("line") or "the nightly did not finish"))
    number = github.open_issue(mark)
    if not blocks(verdict):
        if not number:
            return "nothing blocks, and no issue is open"
        github.ask("POST", f"/issues/{number}/comments", {"body": f"It holds again: {line}\n\n{run_url}".strip()})
        github.ask("PATCH", f"/issues/{number}", {"state": "closed", "state_reason": "completed"})
        return f"it holds again: issue {number} is closed"
    text = ROOM(body(mark, verdict, page, run_url))
    if number:
        github.ask("PATCH", f"/issues/{number}", {"body": text})
        return f"issue {number} is up to date"
    title = f"Nightly: {name} does not hold"
    made = github.ask("POST", "/issues", {"title": title, "body": text})
    return f"issue {made['number']} is opened"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.issue", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--reports", type=Path, default=Path("reports/latest"))
    parser.add_argument("--public", action="store_true", help="also on a public repository")
    given = parser.parse_args(argv)
    try:
        print(told(given.reports, given.public, os.environ))
    except Refused as refused:
        print(f"no issue: {refused}", file=sys.stderr)
        return 4
    return 0


def told(reports: Path, public: bool, environ: Mapping[str, str]) -> str:
    """Raises Refused."""
    repository, token = environ.get("GITHUB_REPOSITORY", ""), environ.get("GITHUB_TOKEN", "")
    if not re.fullmatch(REPOSITORY, repository) or not token:
        raise Refused("set GITHUB_REPOSITORY and GITHUB_TOKEN, as a workflow has them")
    github = GitHub(environ.get("GITHUB_API_URL", "https://api.github.com"), repository, token)
    if not public and github.public():
        return f"{repository} is public: no issue is opened (--public opens it all the same)"
    verdict = _verdict(reports / "verdict.json")
    page = reports / summary.NAME
    text = page.read_text("utf-8", errors="replace") if page.is_file() else ""
    name = str((verdict.get("context") or {}).get("name") or "production")
    server, run = environ.get("GITHUB_SERVER_URL", "https://github.com"), environ.get("GITHUB_RUN_ID", "")
    return tell(github, verdict, text, f"{server}/{repository}/actions/runs/{run}" if run else "", name)


def _verdict(path: Path) -> Mapping[str, Any]:
    """A verdict that cannot be read is one that does not hold."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {"line": "? do not deploy: the nightly left no verdict"}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
