"""Faults of production's history, its queue, and the settings around it, as the stand-in tells them."""

from dataclasses import replace

from lab.fault import Fault
from lab.faults_github import CANARY, HISTORY, LAST_GOOD, VARIABLES, way, world

FAULTS: tuple[Fault, ...] = (
    world(
        "deploys-overlapped",
        "A rollback ran while a deploy did, six days ago.",
        "serialization/never-overlapped",
    ),
    world("lock-not-taken", "A deploy of last week ran under another lock.", "serialization/lock-was-taken"),
    world(
        "deploy-dropped",
        "A deploy was pushed out of the queue by a newer one, which never landed.",
        "serialization/none-swallowed",
    ),
    world("deploy-on-stranger", "A deploy of last week ran on the build runner.", "failover/history-approved"),
    world(
        "standby-unproven",
        "For eight days nothing ran on the standby, no canary either.",
        "failover/proven-lately",
        "secret-masking/canary-masked[prod-runner-02]",
    ),
    world("never-rehearsed", "Nobody has rolled back for as long as GitHub remembers.", "rollback/rehearsed"),
    world("return-rehearsed", "An hour ago the rollback was walked on main, to the release that is live."),
    world(
        "return-undone",
        "An hour ago the rollback returned to the release before, and by now somebody has pointed the target back.",
        "rollback/release-on-target",
    ),
    replace(
        world("return-hidden", "An hour ago a rollback returned to a release that its run's title does not name."),
        unknown=LAST_GOOD,
    ),
    world("deploy-failed", "One of this week's deploys failed.", "pace/success-rate"),
    replace(
        world(
            "deploy-lost",
            "The newest deploy lost its runner half-way, and GitHub gave it up ten minutes later.",
            "pace/watched",
            "pace/success-rate",
        ),
        drill=("--watch=latest",),
    ),
    world("slow-pickups", "The three newest deploys waited eight minutes for a runner.", "pace/picked-up"),
    world(
        "job-stuck",
        "A deploy asks for a label that nobody wears, and waits since twenty minutes.",
        "pace/no-stuck-job",
        "serialization/nothing-in-flight",
    ),
    world("group-opened", "The runner group admits every repository of the organisation.", "failover/group-guarded"),
    world("group-shared", "One more repository may use production's runners.", "failover/group-guarded"),
    world("debug-on", "Somebody set ACTIONS_STEP_DEBUG to true and forgot it.", "secret-masking/debug-off"),
    world(
        "credential-in-variable",
        "A token of the registry stands in a variable, where every job can read it.",
        "secret-masking/variables-innocent",
    ),
    world("secret-old", "REGISTRY_TOKEN was last set 200 days ago.", "secret-masking/secrets-fresh"),
    world("token-ends-soon", "The gate's own token ends in three days.", "secret-masking/token-lasts"),
    world("token-may-write", "The gate looks with a classic token of scope repo.", "secret-masking/token-lasts"),
    way(
        "permission-variables-lost",
        "The token may not list variables any more.",
        VARIABLES,
        kind="permission-lost",
        permission="actions_variables",
    ),
    way(
        "no-concurrency-groups",
        "GitHub shows no concurrency groups, and is no server of one's own that has none: who holds the lock is unknown.",
        frozenset({"serialization/nothing-in-flight", "pace/no-stuck-job"}),
        kind="status",
        status=404,
        endpoint="/concurrency_groups",
    ),
    way(
        "jobs-truncated",
        "Every answer about a run's jobs breaks off half-way.",
        HISTORY | CANARY | {"pace/p95", "rollback/rehearsed"},
        kind="truncated",
        endpoint=r"/runs/\d+/jobs",
    ),
)
