"""Ways in which the world itself breaks: each changes the state so that one promise breaks, and says nothing about it.

Every function takes a fresh world: the stand-in lays it anew and applies the faults that are on, in order.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from lab.github.history import DEFAULT_GROUP, workflow_name
from lab.github.runs import RunMaker
from lab.github.world import Commit, Environment, Group, Named, Runner, Workflow, World, fake_sha

Mutation = Callable[[World], None]
DEPLOY = ".github/workflows/deploy-production.yml"
ROLLBACK = ".github/workflows/rollback.yml"
HOTFIX = ".github/workflows/hotfix.yml"
HOTFIX_SOURCE = b"""name: Hotfix

on:
  workflow_dispatch:

permissions:
  contents: read

jobs:
  hotfix:
    runs-on: [self-hosted, production]
    environment: production
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@08eba0b27e820071cde6df949e0beb9ba4906955 # v4.3.0
        with:
          persist-credentials: false
      - name: Deploy
        run: scripts/release.sh deploy "$GITHUB_SHA"
        env:
          DEPLOY_KEY: ${{ secrets.DEPLOY_KEY }}
"""


def _runner(world: World, name: str) -> Runner:
    found = world.runner(name)
    assert found is not None, name
    return found


def _production(world: World) -> Environment:
    found = world.environment("production")
    assert found is not None
    return found


def push(world: World, path: str, old: str, new: str) -> None:
    """A commit on the default branch that changes one file."""
    branch = world.branch(world.default_branch)
    assert branch is not None
    head = world.commits[branch.sha]
    source = head.tree[path].decode() if path in head.tree else ""
    changed, count = re.subn(old, new, source) if source else (new, 1)
    assert count, f"{old} is not in {path}"
    sha = fake_sha(f"{head.sha} {path} {new}")
    tree = {**head.tree, path: changed.encode()}
    world.commits[sha] = Commit(
        sha, f"Change {path}", "acme-developer", head.when + timedelta(minutes=20), head.sha, tree
    )
    branch.sha = sha


def runner_unregistered(world: World) -> None:
    world.runners = [runner for runner in world.runners if runner.name != "prod-runner-01"]


def labels_drifted(world: World) -> None:
    _runner(world, "prod-runner-01").custom.remove("prod-runner-01")


def runner_offline(world: World) -> None:
    _runner(world, "prod-runner-01").kept_offline = True


def standby_offline(world: World) -> None:
    _runner(world, "prod-runner-02").kept_offline = True


def runner_flaps(world: World) -> None:
    _runner(world, "prod-runner-01").flaps = True


def stranger_registered(world: World) -> None:
    labels = ["production", "prod-runner-01", "prod-runner-02"]
    world.runners.append(Runner(190, "stranger-01", labels, DEFAULT_GROUP, "repo", always_online=True))


def stranger_of_the_enterprise(world: World) -> None:
    labels = ["production", "prod-runner-01", "prod-runner-02"]
    world.groups.append(Group(77, "enterprise-wide", "all", inherited=True))
    world.runners.append(Runner(191, "stranger-02", labels, 77, "org", always_online=True))


def twin_labels(world: World) -> None:
    _runner(world, "prod-runner-02").custom.append("prod-runner-01")


def secret_missing(world: World) -> None:
    del _production(world).secrets["DEPLOY_KEY"]


def secret_at_repository(world: World) -> None:
    world.secrets["DEPLOY_KEY"] = Named("DEPLOY_KEY", world.now - timedelta(days=3), world.now - timedelta(days=3))


def reviewers_removed(world: World) -> None:
    _production(world).reviewers = False


def self_review_allowed(world: World) -> None:
    _production(world).prevent_self_review = False


def admins_bypass(world: World) -> None:
    _production(world).can_admins_bypass = True


def branch_policy_none(world: World) -> None:
    _production(world).protected_branches = None


def branch_policy_star(world: World) -> None:
    _production(world).protected_branches = False
    _production(world).branch_names = ["main", "*"]


def branch_policy_unprotected(world: World) -> None:
    _production(world).protected_branches = False
    _production(world).branch_names = ["main", "release/*"]


def none_protected(world: World) -> None:
    for branch in world.branches:
        branch.protected = False


def lock_renamed(world: World) -> None:
    push(world, ROLLBACK, r"group: production\n", "group: rollback\n")


def second_workflow(world: World) -> None:
    push(world, HOTFIX, "", HOTFIX_SOURCE.decode())
    world.workflows.append(
        Workflow(88_800_190, workflow_name(HOTFIX_SOURCE, HOTFIX), HOTFIX, world.now - timedelta(minutes=40))
    )


def cancel_in_progress(world: World) -> None:
    push(world, DEPLOY, r"cancel-in-progress: false", "cancel-in-progress: true")


def label_only_primary(world: World) -> None:
    push(world, DEPLOY, r"runs-on: \$\{\{ fromJSON\([^\n]*", "runs-on: [self-hosted, prod-runner-01]")


def rollback_no_input(world: World) -> None:
    push(world, ROLLBACK, r"    inputs:\n(      [^\n]*\n)+", "")


def rollback_untold(world: World) -> None:
    push(world, ROLLBACK, r"run-name: [^\n]*\n", "")


def rollback_disabled(world: World) -> None:
    for workflow in world.workflows:
        if workflow.path == ROLLBACK:
            workflow.state = "disabled_manually"


def _head(world: World) -> str:
    branch = world.branch(world.default_branch)
    assert branch is not None
    return branch.sha


def deploy_in_flight(world: World) -> None:
    make = RunMaker(world, random.Random(1))
    make.open_production(
        sha=_head(world), created=world.now - timedelta(minutes=3), runner="prod-runner-02", approved=True
    )
    _runner(world, "prod-runner-02").busy = True


def lock_held_by_waiting(world: World) -> None:
    make = RunMaker(world, random.Random(1))
    make.open_production(
        sha=_head(world), created=world.now - timedelta(hours=3), runner="prod-runner-01", approved=False
    )


def _busy(world: World, name: str) -> None:
    topic = next(branch for branch in world.branches if branch.name != world.default_branch)
    make = RunMaker(world, random.Random(1))
    at = world.now - timedelta(minutes=2)
    make.open_ci(branch=topic.name, sha=topic.sha, created=at, runner=name, labels=["self-hosted", name])
    _runner(world, name).busy = True


def busy_mismatch(world: World) -> None:
    _busy(world, "prod-runner-02")


def last_good(world: World) -> str:
    """The sha that was live before the one that is: the second newest distinct one among the successful deployments."""
    shas: list[str] = []
    for deployment in sorted(world.deployments, key=lambda it: (it.created, it.id), reverse=True):
        if deployment.sha not in shas and any(state.state == "success" for state in deployment.states):
            shas.append(deployment.sha)
    return shas[1]


def no_last_good(world: World) -> None:
    last_good_pruned(world)
    world.gone = {it.sha for it in world.deployments} - world.commits.keys()


def last_good_pruned(world: World) -> None:
    """History was rewritten without the commit. The record of its deployment stays."""
    gone = world.commits.pop(last_good(world), None)
    if gone is None:
        return
    for commit in world.commits.values():
        if commit.parent == gone.sha:
            commit.parent = gone.parent


def artifact_missing(world: World) -> None:
    gone = last_good(world)
    world.artifacts = [artifact for artifact in world.artifacts if artifact.sha != gone]


def artifact_expired(world: World) -> None:
    for artifact in world.artifacts:
        if artifact.sha == last_good(world):
            artifact.expired, artifact.expires = True, world.now - timedelta(days=1)


def slow_deploys(world: World) -> None:
    """The six newest deploys took 11 to 16 minutes, under the older and wider limit that their files had."""
    runs = [run for run in world.runs if run.path == DEPLOY and run.last.conclusion == "success"][-6:]
    for place, run in enumerate(runs):
        job = run.last.jobs[-1]
        longer = timedelta(seconds=660 + 60 * place) - ((job.completed or job.started) - job.started)
        assert job.completed is not None
        job.completed += longer
        job.steps[-1] = replace(job.steps[-1], completed=job.completed)
        run.last.updated += longer
        for deployment in world.deployments:
            if deployment.job_id == job.id:
                deployment.states[-1].created = job.completed
        commit = world.commits.get(run.sha)
        if commit is None:
            continue
        wide = commit.tree[DEPLOY].replace(b"timeout-minutes: 10", b"timeout-minutes: 30")
        world.commits[run.sha] = replace(commit, tree={**commit.tree, DEPLOY: wide})


MUTATIONS: dict[str, Mutation] = {
    "runner-unregistered": runner_unregistered,
    "labels-drifted": labels_drifted,
    "runner-offline-at-github": runner_offline,
    "runner-flaps": runner_flaps,
    "stranger-registered": stranger_registered,
    "stranger-of-the-enterprise": stranger_of_the_enterprise,
    "twin-labels": twin_labels,
    "secret-missing": secret_missing,
    "secret-also-at-repository": secret_at_repository,
    "reviewers-removed": reviewers_removed,
    "self-review-allowed": self_review_allowed,
    "admins-bypass": admins_bypass,
    "branch-policy-none": branch_policy_none,
    "branch-policy-star": branch_policy_star,
    "branch-policy-unprotected": branch_policy_unprotected,
    "branch-policy-protected-but-none-protected": none_protected,
    "lock-renamed": lock_renamed,
    "second-workflow-no-lock": second_workflow,
    "cancel-in-progress": cancel_in_progress,
    "deploy-in-flight": deploy_in_flight,
    "lock-held-by-waiting-run": lock_held_by_waiting,
    "standby-offline": standby_offline,
    "busy-mismatch": busy_mismatch,
    "label-only-primary": label_only_primary,
    "no-last-good": no_last_good,
    "last-good-pruned": last_good_pruned,
    "artifact-expired": artifact_expired,
    "artifact-missing": artifact_missing,
    "rollback-disabled": rollback_disabled,
    "rollback-no-input": rollback_no_input,
    "rollback-untold": rollback_untold,
    "slow-deploys": slow_deploys,
}
