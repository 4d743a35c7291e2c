"""The project's own workflows: judged green by every check of workflow files, and each of their guarantees, taken out, is found."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from fixtures import workflows as reader
from fixtures.facts.workflows import Workflows
from tests.judged import outcomes
from tests.worlds import ROOT

SOURCES = reader.sources(ROOT)
DEPLOY, BACK, PREFLIGHT, NIGHTLY, CI = (
    f".github/workflows/{name}.yml" for name in ("deploy-production", "rollback", "preflight", "nightly", "ci")
)


def of(sources: Mapping[str, str]) -> dict[str, str]:
    return outcomes(Workflows("main", tuple(reader.read(path, text) for path, text in sources.items())))


def test_they_are_green() -> None:
    found = of(SOURCES)
    assert {DEPLOY, BACK, PREFLIGHT, NIGHTLY, CI} <= SOURCES.keys()
    assert len(found) >= 16
    assert set(found.values()) == {"held"}


LOCK = "    concurrency:\n      group: production\n      cancel-in-progress: false\n"
FRESH = r"      - name: Is the verdict fresh[^\n]*\n[^\n]*\n"
LOOSE = "serialization/one-lock serialization/lock-constant"
MUTATIONS: dict[str, tuple[str, str, str, str]] = {
    "no lock": (DEPLOY, re.escape(LOCK), "", "serialization/one-lock"),
    "no lock on the way back": (BACK, re.escape(LOCK), "", "serialization/one-lock rollback/path-alive"),
    "another lock": (BACK, "group: production\n", "group: rollback\n", "serialization/one-lock rollback/path-alive"),
    "a lock by the branch": (DEPLOY, "group: production\n", "group: production-${{ github.ref }}\n", LOOSE),
    "a deploy that is cut": (
        DEPLOY,
        "cancel-in-progress: false",
        "cancel-in-progress: true",
        "serialization/never-cut",
    ),
    "a way back that is cut": (
        BACK,
        "cancel-in-progress: false",
        "cancel-in-progress: true",
        "serialization/never-cut",
    ),
    "the lock twice": (
        DEPLOY,
        "permissions: {}\n",
        "permissions: {}\nconcurrency: production\n",
        "serialization/no-deadlock",
    ),
    "the gate, allowed to fail": (
        DEPLOY,
        "    needs: preflight\n",
        "    needs: preflight\n    if: always()\n",
        "serialization/no-way-round",
    ),
    "a deploy past the gate": (
        DEPLOY,
        r"runs-on: [^\n]*",
        "runs-on: [self-hosted, prod-runner-01]",
        "failover/reachable-by-job",
    ),
    "a machine of GitHub's": (
        DEPLOY,
        r"runs-on: [^\n]*",
        "runs-on: ubuntu-latest",
        "failover/hosted-never failover/reachable-by-job",
    ),
    "any machine": (BACK, r"runs-on: [^\n]*", "runs-on: self-hosted", "failover/hosted-never"),
    "no record": (
        DEPLOY,
        "environment: production",
        "environment: {name: production, deployment: false}",
        "serialization/recorded",
    ),
    "no environment": (
        DEPLOY,
        "    environment: production\n",
        "",
        "serialization/recorded secret-masking/workflows-audited",
    ),
    "no environment on the way back": (
        BACK,
        "    environment: production\n",
        "",
        "rollback/path-alive secret-masking/workflows-audited",
    ),
    "no bound": (DEPLOY, "    timeout-minutes: 10\n", "", "serialization/bounded"),
    "no bound on the way back": (BACK, "    timeout-minutes: 10\n", "", "serialization/bounded"),
    "an old verdict": (DEPLOY, FRESH, "", "serialization/gate-fresh"),
    "a verdict that may be old": (DEPLOY, r"verdict\.json\n", "verdict.json || true\n", "serialization/gate-fresh"),
    "no verification": (DEPLOY, r"      - name: Verify\n(        [^\n]*\n)+", "", "rollback/deploy-verifies"),
    "an undo after failures alone": (
        DEPLOY,
        r"\(failure\(\) \|\| cancelled\(\)\)",
        "failure()",
        "rollback/deploy-verifies",
    ),
    "a deploy of whatever is newest": (
        DEPLOY,
        r'release\.sh deploy "\$GITHUB_SHA"',
        "release.sh deploy; docker run app:latest",
        "rollback/retry-safe",
    ),
    "a way back that says no version": (BACK, r"run-name: [^\n]*\n", "", "rollback/return-told"),
    "a way back that takes no version": (BACK, "      version:\n", "      release:\n", "rollback/path-alive"),
    "a way back that nobody can start": (
        BACK,
        r"  workflow_dispatch:\n(    [^\n]*\n)+",
        "  push:\n",
        "rollback/path-alive",
    ),
    "a secret in a script": (
        DEPLOY,
        r'deploy "\$GITHUB_SHA"',
        'deploy "${{ secrets.DEPLOY_KEY }}"',
        "secret-masking/workflows-discreet",
    ),
    "every secret for the gate": (
        DEPLOY,
        r"    secrets:\n      token: [^\n]*\n",
        "    secrets: {token: '${{ toJSON(secrets) }}'}\n",
        "secret-masking/workflows-discreet secret-masking/workflows-audited",
    ),
    "a token for everything": (
        DEPLOY,
        "permissions: {}\n",
        "permissions: write-all\n",
        "secret-masking/token-least secret-masking/workflows-audited",
    ),
    "an action by a tag": (
        DEPLOY,
        r"download-artifact@[0-9a-f]{40}",
        "download-artifact@v4",
        "secret-masking/workflows-audited",
    ),
    "somebody's action by a tag": (
        DEPLOY,
        r"run: scripts/release\.sh verify[^\n]*",
        "uses: acme/verify@v1",
        "secret-masking/workflows-audited",
    ),
    "a pull request's tests on production": (
        CI,
        "runs-on: ubuntu-24.04",
        "runs-on: [self-hosted, production]",
        "secret-masking/forks-kept-out serialization/no-way-round",
    ),
    "a nightly on production": (
        NIGHTLY,
        r"runs-on: [^\n]*",
        "runs-on: [self-hosted, production]",
        "serialization/no-way-round",
    ),
    "a file that GitHub rejects": (
        NIGHTLY,
        "    timeout-minutes: 15\n",
        "    timeout-minutes: 15\n    needs: build\n",
        "serialization/one-lock serialization/never-cut",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_guarantee_taken_out_is_found(name: str) -> None:
    path, old, new, breaks = MUTATIONS[name]
    changed, count = re.subn(old, lambda _: new, SOURCES[path])
    assert count, f"{path} has no {old!r}"
    found = of({**SOURCES, path: changed})
    assert {check for check, outcome in found.items() if outcome == "broken"} == set(breaks.split())
    assert "unknown" not in found.values()
