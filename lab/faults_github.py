"""Faults of the GitHub stand-in: what its world or the way to it can suffer, and what a gate must then say.

Expected ids follow the catalogue; each set holds everything that the fault breaks or hides, not the main thing alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.fault import BOTH, Fault
from lab.world import Lab

PRIMARY, STANDBY = "prod-runner-01", "prod-runner-02"
R = (PRIMARY, STANDBY)


def each(check: str) -> frozenset[str]:
    """A check of one runner, for both."""
    return frozenset(f"{check}[{name}]" for name in R)


REGISTRATIONS = (
    each("runner-health/registered")
    | each("runner-health/online")
    | each("runner-health/tells-the-truth")
    | {"failover/standby-ready", "failover/choice-binds", "failover/strangers-excluded"}
)
"""What is read from the lists of runners."""

VARIABLES = frozenset({"secret-masking/debug-off", "secret-masking/variables-innocent"})
"""What is read from the lists of variables; a debug switch may also be a secret."""

SECRETS = frozenset(
    {
        "secret-masking/debug-off",
        "secret-masking/secrets-present",
        "secret-masking/environment-only",
        "secret-masking/secrets-fresh",
    }
)
"""What is read from the lists of secrets: one lost list hides all of it."""

HISTORY = frozenset(
    {
        "serialization/never-overlapped",
        "serialization/lock-was-taken",
        "serialization/none-swallowed",
        "failover/history-approved",
        "failover/proven-lately",
        "secret-masking/logs-clean",
        "pace/success-rate",
        "pace/picked-up",
        "records/ticketed",
    }
)
"""What is read from the runs of the window and their jobs."""

FILES = HISTORY | frozenset(
    {
        "rollback/rehearsed",
        "serialization/one-lock",
        "serialization/never-cut",
        "serialization/no-way-round",
        "serialization/lock-constant",
        "serialization/no-deadlock",
        "serialization/recorded",
        "serialization/bounded",
        "serialization/gate-fresh",
        "failover/hosted-never",
        "rollback/deploy-verifies",
        "rollback/retry-safe",
        "rollback/return-told",
        "secret-masking/workflows-discreet",
        "secret-masking/workflows-audited",
        "secret-masking/forks-kept-out",
        "secret-masking/token-least",
        "serialization/nothing-in-flight",
        "failover/reachable-by-job",
        "failover/strangers-excluded",
        "rollback/path-alive",
        "pace/p95",
        "pace/no-stuck-job",
    }
)
"""What is read from the workflow files: they also say which runs change production, and under which name a job is listed."""

GUARDED = frozenset({"secret-masking/environment-guarded"})
LAST_GOOD = frozenset({"rollback/last-good-known", "rollback/artifact-kept", "rollback/release-on-target"})
CLOCK = each("runner-health/clock-true")
"""GitHub's `Date` is taken from an answer that means something; an error page may be a proxy's."""

NIGHTLY = frozenset({"monitoring/nightly-alive"})
"""What is read from the list of workflows and the runs of the nightly."""

SETTINGS = frozenset({"failover/group-guarded", "secret-masking/token-lasts"})
RELEASES = each("runner-health/version-supported")
"""What is read from the list of the runner's own releases."""

CANARY = each("secret-masking/canary-masked")
"""What is read from the canary's runs and their logs."""

EVERYTHING = (
    CANARY | RELEASES | REGISTRATIONS | SECRETS | VARIABLES | FILES | GUARDED | LAST_GOOD | CLOCK | SETTINGS | NIGHTLY
)


THE_API = "^[A-Z]+ /(repos|orgs|repositories|organizations)/"
"""The gate's own questions: what runners ask for from their hosts is another matter."""


def posted(name: str, params: Mapping[str, Any] | None) -> Callable[[Lab], None]:
    def inject(lab: Lab) -> None:
        lab.request("POST", f"/_lab/fault/{name}", params)

    return inject


def deleted(name: str) -> Callable[[Lab], None]:
    def heal(lab: Lab) -> None:
        # Healing twice, or after a reset, is no error of anybody's.
        on = lab.request("GET", "/_lab/state")
        if name in on["world_faults"] or name in on["transport_faults"]:
            lab.request("DELETE", f"/_lab/fault/{name}")

    return heal


def world(name: str, story: str, *breaks: str) -> Fault:
    """The world itself is amiss, and everything can be seen."""
    return Fault(name, story, frozenset(breaks), frozenset(), BOTH, posted(name, None), deleted(name))


def way(name: str, story: str, unknown: frozenset[str], **params: object) -> Fault:
    """The way to GitHub is amiss: nothing is known to be broken."""
    return Fault(name, story, frozenset(), unknown, BOTH, posted(name, params), deleted(name))


WORLD = (
    world(
        "runner-unregistered",
        "The primary's registration was removed: GitHub does not list it any more.",
        "runner-health/registered[prod-runner-01]",
        "runner-health/online[prod-runner-01]",
        "runner-health/tells-the-truth[prod-runner-01]",
    ),
    world(
        "labels-drifted",
        "The primary lost the label that is its own name, so no job that is sent to it finds it.",
        "runner-health/registered[prod-runner-01]",
    ),
    world(
        "runner-offline-at-github",
        "GitHub says offline although the primary polls.",
        "runner-health/online[prod-runner-01]",
        "runner-health/tells-the-truth[prod-runner-01]",
    ),
    world("runner-flaps", "One answer in two says the primary is offline; asked twice it is online."),
    world(
        "stranger-registered",
        "Someone registered a runner of the repository with the labels of both production runners.",
        "failover/strangers-excluded",
        "failover/choice-binds",
    ),
    world(
        "stranger-of-the-enterprise",
        "The enterprise shares a runner group with the organization, and a runner in it wears production's labels.",
        "failover/strangers-excluded",
        "failover/choice-binds",
    ),
    world(
        "twin-labels",
        "The standby wears the primary's own label too, so a job for the primary may land on either.",
        # The undeclared label makes the standby unfit, and what is emitted for the primary may land there.
        "runner-health/registered[prod-runner-02]",
        "failover/choice-binds",
    ),
    world(
        "secret-missing", "DEPLOY_KEY was deleted from the production environment.", "secret-masking/secrets-present"
    ),
    world(
        "secret-also-at-repository",
        "DEPLOY_KEY was created for the whole repository as well, where every job can read it.",
        "secret-masking/environment-only",
    ),
    world("reviewers-removed", "Nobody has to approve a deploy any more.", "secret-masking/environment-guarded"),
    world("self-review-allowed", "Who starts a deploy may approve it.", "secret-masking/environment-guarded"),
    world("admins-bypass", "Administrators may bypass the environment's rules.", "secret-masking/environment-guarded"),
    world("branch-policy-none", "Any branch may deploy to production.", "secret-masking/environment-guarded"),
    world(
        "branch-policy-star",
        "The environment admits branches by the pattern *: whoever may push may deploy.",
        "secret-masking/environment-guarded",
    ),
    world(
        "branch-policy-unprotected",
        "The environment admits release/*, and nothing protects such branches.",
        "secret-masking/environment-guarded",
    ),
    world(
        "branch-policy-protected-but-none-protected",
        "Only protected branches may deploy, and none is protected, so all of them may.",
        "secret-masking/environment-guarded",
    ),
    world(
        "lock-renamed",
        "The rollback takes a lock of its own, so it can run beside a deploy.",
        "serialization/one-lock",
        "rollback/path-alive",
    ),
    world(
        "second-workflow-no-lock",
        "A hotfix workflow deploys to production on the approved runners, without the lock.",
        "serialization/one-lock",
    ),
    world("cancel-in-progress", "A new deploy cuts the running one.", "serialization/never-cut"),
    world(
        "deploy-in-flight",
        "A deploy runs on the standby now and holds the lock.",
        "serialization/nothing-in-flight",
        "failover/standby-ready",
        # Nothing runs there: the lab only says so.
        "runner-health/tells-the-truth[prod-runner-02]",
    ),
    world(
        "lock-held-by-waiting-run",
        "A deploy has waited three hours for an approval, and holds the lock all the while.",
        "serialization/nothing-in-flight",
    ),
    world(
        "standby-offline",
        "GitHub says that the standby is offline.",
        "failover/standby-ready",
        "runner-health/online[prod-runner-02]",
        "runner-health/tells-the-truth[prod-runner-02]",
    ),
    world(
        "busy-mismatch",
        "GitHub says that the standby is busy with somebody's tests, and no Worker lives there.",
        "failover/standby-ready",
        "runner-health/tells-the-truth[prod-runner-02]",
    ),
    world(
        "label-only-primary",
        "The deploy job names the primary's label instead of the gate's choice: it would wait a day for a dead runner.",
        "failover/reachable-by-job",
    ),
    world(
        "no-last-good",
        "The commit of the release before this one is gone (404).",
        "rollback/last-good-known",
        "records/ticketed",
    ),
    world(
        "last-good-pruned",
        "The commit of the release before this one is gone, said as GitHub says it (422).",
        "rollback/last-good-known",
        "records/ticketed",
    ),
    world("artifact-expired", "The artifact of the release before this one has expired.", "rollback/artifact-kept"),
    world("artifact-missing", "The artifact of the release before this one was deleted.", "rollback/artifact-kept"),
    world("rollback-disabled", "Someone disabled the rollback workflow.", "rollback/path-alive"),
    world("rollback-no-input", "The rollback workflow does not ask for a version any more.", "rollback/path-alive"),
    world("rollback-untold", "The rollback workflow lost its run-name.", "rollback/return-told"),
    world("slow-deploys", "The six newest deploys took 11 to 16 minutes.", "pace/p95"),
)

WAYS = (
    way("api-down", "GitHub answers 503 to everything.", EVERYTHING, kind="status", status=503, endpoint=THE_API),
    way("api-stalls", "GitHub takes every request and answers none.", EVERYTHING, kind="stall", endpoint=THE_API),
    way("token-revoked", "The gate's token was revoked (401).", EVERYTHING, kind="token-revoked"),
    way("rate-limit-used-up", "The hour's requests are used up.", EVERYTHING, kind="primary-exhausted"),
    way("proxy-page", "Something between answers with an HTML page.", EVERYTHING, kind="html"),
    way(
        "api-resets",
        "Every connection to GitHub breaks in the middle of the answer.",
        EVERYTHING,
        kind="reset",
        endpoint=THE_API,
    ),
    way("api-truncates", "Every answer of GitHub breaks off half-way.", EVERYTHING, kind="truncated", endpoint=THE_API),
    way("too-many-requests", "GitHub answers 429 and does not say for how long.", EVERYTHING, kind="rate-limited"),
    way("secondary-limit", "GitHub's secondary limit is in force (403).", EVERYTHING, kind="secondary-limit"),
    way(
        "portal-answers", "A portal answers everything, with JSON under another name.", EVERYTHING, kind="content-type"
    ),
    way("api-moved", "The repository was renamed: GitHub sends us elsewhere.", EVERYTHING, kind="moved"),
    way(
        "version-refused", "GitHub does not serve this version of the API any more.", EVERYTHING, kind="refused-version"
    ),
    Fault(
        "github-clock-ahead",
        "GitHub's clock is an hour ahead of both runners', or they are an hour behind.",
        CLOCK,
        frozenset(),
        BOTH,
        posted("github-clock-ahead", {"kind": "clock", "seconds": 3600}),
        deleted("github-clock-ahead"),
    ),
    way(
        "environments-cut",
        "The list of environments comes without its rows, under their true count.",
        GUARDED,
        kind="short",
        endpoint=r"/environments(\?|$)",
    ),
    way(
        "runners-kept-by-a-proxy",
        "A proxy gives the list of runners as it was ten minutes ago.",
        REGISTRATIONS,
        kind="clock",
        seconds=-600,
        endpoint="/orgs/[^/]+/actions/runners",
    ),
    way(
        "administration-masked",
        "The token may not list the repository's runners any more, and GitHub says that there is nothing (404).",
        REGISTRATIONS,
        kind="permission-lost",
        permission="administration",
        mask=True,
    ),
    way(
        "actions-masked",
        "The token may not read Actions any more, and GitHub says that there is nothing (404).",
        FILES | GUARDED | NIGHTLY | CANARY | LAST_GOOD,
        kind="permission-lost",
        permission="actions",
        mask=True,
    ),
    way(
        "permission-administration-lost",
        "The token may not list the repository's runners any more.",
        REGISTRATIONS,
        kind="permission-lost",
        permission="administration",
    ),
    way(
        "permission-secrets-lost",
        "The token may not list the repository's secrets any more.",
        SECRETS,
        kind="permission-lost",
        permission="secrets",
    ),
    way(
        "contents-truncated",
        "Every answer about the repository's files breaks off half-way.",
        FILES,
        kind="truncated",
        endpoint="/contents",
    ),
    way(
        "api-hiccup",
        "Each list of runners fails twice with 502 and then answers.",
        frozenset(),
        kind="status",
        status=502,
        endpoint="/actions/runners",
        times=2,
    ),
)

FAULTS: tuple[Fault, ...] = WORLD + WAYS
