"""Ways in which a commit to the workflow files breaks a promise, each by one change that people really make."""

from __future__ import annotations

from datetime import timedelta

from lab.github.history import workflow_name
from lab.github.mutate import DEPLOY, Mutation, push
from lab.github.world import Workflow, World

CI = ".github/workflows/ci.yml"
SMOKE = ".github/workflows/smoke.yml"
SMOKE_SOURCE = """name: Smoke test

on:
  schedule:
    - cron: "*/30 * * * *"

permissions:
  contents: read

concurrency:
  group: smoke
  cancel-in-progress: false

jobs:
  smoke:
    runs-on: [self-hosted, production]
    timeout-minutes: 5
    steps:
      - name: Restart what does not answer
        run: scripts/release.sh verify || sudo systemctl restart widgets
"""


def changes(path: str, old: str, new: str) -> Mutation:
    """One file, changed where a pattern matches."""
    return lambda world: push(world, path, old, new)


def smoke_test(world: World) -> None:
    push(world, SMOKE, "", SMOKE_SOURCE)
    name = workflow_name(SMOKE_SOURCE.encode(), SMOKE)
    world.workflows.append(Workflow(88_800_191, name, SMOKE, world.now - timedelta(minutes=40)))


MUTATIONS: dict[str, Mutation] = {
    "lock-varies": changes(DEPLOY, r"group: production\n", "group: production-${{ github.ref }}\n"),
    "lock-held-twice": changes(
        DEPLOY,
        r"permissions:\n  contents: read\n\njobs:",
        "permissions:\n  contents: read\n\nconcurrency: production\n\njobs:",
    ),
    "smoke-test-restarts": smoke_test,
    "guard-skipped": changes(
        DEPLOY, r"    needs: preflight\n", "    needs: preflight\n    if: always() && !failure()\n"
    ),
    "deployment-hidden": changes(
        DEPLOY, r"environment: production\n", "environment: {name: production, deployment: false}\n"
    ),
    "no-timeout": changes(DEPLOY, r"    timeout-minutes: 10\n", ""),
    "first-step-removed": changes(DEPLOY, r"      - name: Is the verdict fresh[^\n]*\n[^\n]*\n", ""),
    "runs-on-hosted": changes(DEPLOY, r"runs-on: \$\{\{ fromJSON\([^\n]*", "runs-on: ubuntu-latest"),
    "undo-removed": changes(DEPLOY, r"      - name: Undo\n(        [^\n]*\n)+", ""),
    "deploys-latest": changes(DEPLOY, r"run: make build", "run: docker pull registry.internal/widgets:latest"),
    "secret-in-script": changes(
        DEPLOY,
        r'run: scripts/release.sh deploy "\$GITHUB_SHA"',
        'run: scripts/release.sh deploy --key "${{ secrets.DEPLOY_KEY }}"',
    ),
    "message-in-script": changes(
        DEPLOY, r"run: make build", "run: make build NOTE='${{ github.event.head_commit.message }}'"
    ),
    "fork-on-production": changes(CI, r"runs-on: \[self-hosted, build\]", "runs-on: [self-hosted, production]"),
    "token-wide": changes(DEPLOY, r"\npermissions:\n  contents: read\n", "\npermissions: write-all\n"),
    "file-rejected": changes(CI, r"    timeout-minutes: 15\n", "    timeout-minutes: 15\n    needs: build\n"),
}
