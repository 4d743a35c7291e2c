"""What the stand-in knows: one organisation, one repository, its runners, runs, deployments and files.

Plain mutable records. `history.py` lays the healthy world down, `mutate.py` breaks it,
`shapes*.py` say it in GitHub's JSON.
All times are aware datetimes in UTC with a resolution of one second, as GitHub's are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

ORG_ID = 9_919_001
REPO_ID = 771_234_567
MAIN_TOKEN_PERMISSIONS = frozenset(
    {
        "metadata",
        "actions",
        "administration",
        "contents",
        "deployments",
        "environments",
        "secrets",
        "actions_variables",
        "organization_self_hosted_runners",
        "organization_secrets",
        "checks",
    }
)
"""What the main token may read, by the names that `X-Accepted-GitHub-Permissions` uses."""

ONLINE_SECONDS = 6.0
"""A runner that polled within this time is online. GitHub's own delay is longer and not documented."""

Status = Literal["queued", "in_progress", "completed", "waiting", "requested", "pending"]
Lease = Literal["", "held", "pending"]
Scope = Literal["repo", "org"]


def iso(moment: datetime | None) -> str | None:
    """GitHub's top-level form of a time: whole seconds and a `Z`."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fake_sha(word: str) -> str:
    """A commit's name that is the same in every lab, whatever the time of day it is laid back to."""
    return hashlib.sha1(f"acme/widgets {word}".encode(), usedforsecurity=False).hexdigest()


@dataclass
class Runner:
    """`custom` are the labels someone chose; the read-only ones come with the software."""

    id: int
    name: str
    custom: list[str]
    group_id: int
    scope: Scope
    always_online: bool = False
    busy: bool = False
    version: str = "2.336.0"
    kept_offline: bool = False
    flaps: bool = False
    read_only: tuple[str, ...] = ("self-hosted", "Linux", "X64")


@dataclass
class Group:
    id: int
    name: str
    visibility: Literal["all", "selected", "private"]
    default: bool = False
    repositories: tuple[str, ...] = ()
    allows_public: bool = False
    inherited: bool = False
    """Shared by the enterprise: its runners are listed by the group alone."""


@dataclass
class Step:
    name: str
    status: Literal["queued", "in_progress", "completed"]
    conclusion: str | None
    started: datetime | None
    completed: datetime | None


@dataclass
class Job:
    """`lock` is the evaluated concurrency group of the job, `lease` what it has of it now, `turn` when it came to wait."""

    id: int
    run_id: int
    attempt: int
    name: str
    status: Status
    conclusion: str | None
    created: datetime
    started: datetime
    completed: datetime | None
    labels: list[str]
    runner_id: int | None = None
    runner_name: str | None = None
    group_id: int | None = None
    group_name: str | None = None
    steps: list[Step] = field(default_factory=list)
    lock: str = ""
    lease: Lease = ""
    turn: int = 0
    environment: str = ""
    annotations: list[str] = field(default_factory=list)


@dataclass
class Call:
    """A called workflow, or the job that calls it, as far as it has or wants a lock: no API lists one otherwise."""

    id: int
    name: str
    """Of the calling job."""
    created: datetime
    lock: str = ""
    lease: Lease = ""
    turn: int = 0


@dataclass
class Attempt:
    number: int
    status: Status
    conclusion: str | None
    started: datetime
    updated: datetime
    jobs: list[Job]
    calls: list[Call] = field(default_factory=list)


@dataclass
class Run:
    id: int
    path: str
    number: int
    event: str
    branch: str
    sha: str
    title: str
    actor: str
    created: datetime
    attempts: list[Attempt]
    approved_by: str = ""
    lock: str = ""
    """The evaluated group of the whole run, as for a job."""
    lease: Lease = ""
    turn: int = 0

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    def jobs(self) -> list[Job]:
        """The jobs of every attempt, oldest first."""
        return [job for attempt in self.attempts for job in attempt.jobs]

    def calls(self) -> list[Call]:
        """Those that have or had a lock, of every attempt."""
        return [call for attempt in self.attempts for call in attempt.calls]


@dataclass
class DeploymentState:
    id: int
    state: str
    created: datetime


@dataclass
class Deployment:
    id: int
    run_id: int
    job_id: int
    sha: str
    ref: str
    environment: str
    creator: str
    created: datetime
    states: list[DeploymentState]


@dataclass
class Artifact:
    id: int
    run_id: int
    name: str
    size: int
    digest: str
    sha: str
    branch: str
    created: datetime
    expires: datetime
    expired: bool = False


@dataclass
class Workflow:
    id: int
    name: str
    path: str
    created: datetime
    state: str = "active"


@dataclass
class Commit:
    """`tree` maps a path inside the repository to the file's bytes."""

    sha: str
    message: str
    author: str
    when: datetime
    parent: str
    tree: Mapping[str, bytes]


@dataclass
class Branch:
    name: str
    sha: str
    protected: bool


@dataclass
class Ruleset:
    """`include` are full refs with wildcards, `~ALL` or `~DEFAULT_BRANCH`; `rules` the types of its rules."""

    id: int
    name: str
    include: tuple[str, ...]
    rules: tuple[str, ...]
    target: Literal["branch", "tag"] = "branch"
    enforcement: Literal["active", "evaluate", "disabled"] = "active"


@dataclass
class Release:
    id: int
    tag: str
    sha: str
    created: datetime


@dataclass
class Software:
    """A release of the runner itself."""

    version: str
    published: datetime
    prerelease: bool = False


@dataclass
class Named:
    """A secret (whose value nobody holds here) or a variable."""

    name: str
    created: datetime
    updated: datetime
    value: str = ""
    visibility: str = ""


@dataclass
class Environment:
    id: int
    name: str
    created: datetime
    reviewers: bool = False
    prevent_self_review: bool = True
    wait_minutes: int = 0
    custom_rules: list[str] = field(default_factory=list)
    """Slugs of the Apps that have a say."""
    protected_branches: bool | None = None
    """True: only protected branches; False: the names in `branch_names`; None: any branch."""
    branch_names: list[str] = field(default_factory=list)
    can_admins_bypass: bool = False
    secrets: dict[str, Named] = field(default_factory=dict)
    variables: dict[str, Named] = field(default_factory=dict)


@dataclass
class World:
    """Everything, at one moment (`now`, which is when the history was laid back)."""

    owner: str
    repo: str
    now: datetime
    created: datetime
    default_branch: str = "main"
    groups: list[Group] = field(default_factory=list)
    runners: list[Runner] = field(default_factory=list)
    workflows: list[Workflow] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    environments: list[Environment] = field(default_factory=list)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: list[Branch] = field(default_factory=list)
    rulesets: list[Ruleset] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    """Shas of commits that answer 404."""
    logged: dict[int, list[str]] = field(default_factory=dict)
    """What a job's log also says, by the job's id."""
    hides_runs_of: str = ""
    """A workflow's path: of its runs only those of the laid history are told of, and none that a runner did since."""
    logs_lost: bool = False
    """Whether every question for a log is answered with a 502."""
    logs_expired: set[int] = field(default_factory=set)
    releases: list[Release] = field(default_factory=list)
    software: list[Software] = field(default_factory=list)
    """Releases of the runner, which GitHub publishes."""
    secrets: dict[str, Named] = field(default_factory=dict)
    org_secrets: dict[str, Named] = field(default_factory=dict)
    variables: dict[str, Named] = field(default_factory=dict)
    org_variables: dict[str, Named] = field(default_factory=dict)
    written: dict[str, Named] = field(default_factory=dict)
    """Those of `variables` that somebody made since the world was laid."""
    token_ends: datetime | None = None
    """When the main token ends, as a fine-grained one tells in a header."""
    token_scopes: str | None = None
    """What a classic token may do, as it tells in a header."""
    last_id: int = 41_000_000_000
    enterprise: str = ""
    """The version of a server of one's own (GHES); "" for GitHub's service."""
    owned_by_user: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.repo}"

    def next_id(self, step: int = 7) -> int:
        """A new id, larger than 2**32 as GitHub's run and job ids are by now."""
        self.last_id += step
        return self.last_id

    def runner(self, name: str) -> Runner | None:
        return next((r for r in self.runners if r.name == name), None)

    def group(self, group_id: int) -> Group | None:
        return next((g for g in self.groups if g.id == group_id), None)

    def run(self, run_id: int) -> Run | None:
        return next((r for r in self.runs if r.id == run_id), None)

    def branch(self, name: str) -> Branch | None:
        return next((b for b in self.branches if b.name == name), None)

    def environment(self, name: str) -> Environment | None:
        return next((e for e in self.environments if e.name.casefold() == name.casefold()), None)

    def workflow(self, key: str) -> Workflow | None:
        """By numeric id or by file name, the two forms that GitHub takes in a URL."""
        return next((w for w in self.workflows if str(w.id) == key or w.path.rsplit("/", 1)[-1] == key), None)

    def commit(self, ref: str) -> Commit | None:
        """The commit that a branch, a tag or a full sha names."""
        branch = self.branch(ref.removeprefix("refs/heads/"))
        tag = next((r.sha for r in self.releases if r.tag == ref.removeprefix("refs/tags/")), "")
        return self.commits.get(branch.sha if branch else tag or ref)
