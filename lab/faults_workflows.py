"""Faults of the workflow files: what a commit to them can break long before a runner is asked."""

from __future__ import annotations

from lab.faults_github import world

FAULTS = (
    world(
        "lock-varies",
        "The deploy's lock has the branch in its name: a lock for each branch, and so none.",
        "serialization/one-lock",
        "serialization/lock-constant",
    ),
    world(
        "lock-held-twice",
        "The deploy workflow takes the lock for its whole run, and its job waits for it.",
        "serialization/no-deadlock",
    ),
    world(
        "smoke-test-restarts",
        "A smoke test restarts production every half hour, on its runners, under a lock of its own.",
        "serialization/no-way-round",
    ),
    world("guard-skipped", "The deploy job runs although the preflight was skipped.", "serialization/no-way-round"),
    world("deployment-hidden", "The deploy job leaves no deployment on record.", "serialization/recorded"),
    world(
        "no-timeout", "The deploy job has no timeout: a hung one holds the lock for six hours.", "serialization/bounded"
    ),
    world(
        "first-step-removed", "The deploy job no longer looks whether its verdict is fresh.", "serialization/gate-fresh"
    ),
    world(
        "runs-on-hosted",
        "The deploy job asks for a machine of GitHub's own.",
        "failover/hosted-never",
        "failover/reachable-by-job",
    ),
    world(
        "undo-removed", "The deploy job has lost the step that takes a failed deploy back.", "rollback/deploy-verifies"
    ),
    world("deploys-latest", "The deploy takes whatever image is newest when it runs.", "rollback/retry-safe"),
    world(
        "secret-in-script",
        "The deploy key is written into a script, and so into a file on the runner.",
        "secret-masking/workflows-discreet",
    ),
    world(
        "message-in-script",
        "The deploy writes the commit's message into a script: whoever may push names what it runs.",
        "secret-masking/workflows-audited",
    ),
    world(
        "fork-on-production",
        "The tests of pull requests run on production's runners.",
        "secret-masking/forks-kept-out",
        "serialization/no-way-round",
        # The runs of the tests count as production's then, and so does where they ran and what they held.
        "failover/history-approved",
        "serialization/lock-was-taken",
    ),
    world(
        "token-wide",
        "The token of every job of the deploy workflow may write everything.",
        "secret-masking/token-least",
        "secret-masking/workflows-audited",
    ),
    world(
        "file-rejected",
        "The tests need a job that does not exist: GitHub rejects the file.",
        "serialization/one-lock",
        "serialization/never-cut",
    ),
)
