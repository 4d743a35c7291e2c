"""The runner's side of GitHub: sessions, jobs that wait for a runner, jobs that a runner holds, and their logs.

Who makes runs calls `queue()` when a job is ready for a runner (its `needs`, lock and approvals are not known here),
`cancel()` when it is not wanted any more, and hangs itself into `changed`, which tells every change of a job.
The protocol that runners speak is in `runnerdoor.py`.

As GitHub does (github-api.md 2 and 1.3, runner-host.md 3.4 and 7.4): a job goes to a free runner that wears all of its
labels, case aside; one that is not taken within a minute goes back to the queue; a taken one is leased for ten minutes
and lost when nobody renews the lease; one that nobody takes in a day fails.
All of it happens when somebody asks: `tick()` comes before every answer.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from lab.github.world import Attempt, Job, Run, Runner, Status, Step, World

LOST = "The self-hosted runner: {name} lost communication with the server. Verify the machine is running and has a healthy network connection."
UNTAKEN = "This request was automatically failed because there were no enabled runners online to process the request for more than 1 days."
RESULTS = ("success", "failure", "cancelled")


@dataclass
class Limits:
    """Seconds. GitHub's own; a test or a drill that cannot wait makes them shorter."""

    lease: float = 600.0
    renew: float = 60.0
    accept: float = 60.0
    queue: float = 86_400.0
    poll: float = 1.0
    """Between two polls of a runner, where the first brought something or could not be held."""
    hold: float = 2.0
    """A poll with nothing to tell is held so long. GitHub holds it for up to 50 s; here a runner has to be missed sooner."""
    session: float = 3.0
    """A runner that polled within this time has a session, and no other may take its place."""


@dataclass(frozen=True)
class StepOrder:
    """One step as the runner gets it, as it is written: its expressions are the runner's to work out, each when its turn comes."""

    name: str
    run: str = ""
    uses: str = ""
    condition: str = "success()"
    env: Mapping[str, str] = field(default_factory=dict)
    shell: str = ""
    id: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    """`with`."""
    directory: str = ""
    forgiven: str = "false"
    """`continue-on-error`."""
    minutes: str = ""
    """`timeout-minutes`; "" for none of its own."""


@dataclass(frozen=True)
class Order:
    """What a job asks of a runner. `secrets` are masked in the log.

    `files` is what a checkout lays down, by path, instead of the commit's; `contexts` are what expressions may read, and
    `outputs` the job's own, as they are written.
    """

    steps: tuple[StepOrder, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    timeout_minutes: float = 360.0
    contexts: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Live:
    """A job of now. `since` is when its present state began, in monotonic seconds; `holder` the runner's name."""

    run: Run
    job: Job
    order: Order
    since: float
    request: str
    holder: str = ""
    lease_until: float = 0.0
    cancelled: bool = False
    log: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    summaries: list[str] = field(default_factory=list)
    """What its steps wrote to GITHUB_STEP_SUMMARY, one text a step."""

    @property
    def state(self) -> str:
        """queued, assigned (offered to a runner that has not taken it yet), held or done."""
        if self.job.status == "completed":
            return "done"
        if self.job.status == "in_progress":
            return "held"
        return "assigned" if self.holder else "queued"


@dataclass
class Session:
    id: str
    polled: float


class Jobs:
    """Everything between the queue and the runners. Callers hold the hub's lock.

    `clock` is monotonic; `changed(run, job)` is called after every change of a job's status.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.limits = Limits()
        self.live: dict[int, Live] = {}
        self.sessions: dict[str, Session] = {}
        self.updates: dict[str, str] = {}
        """The version that each of these runners is told to update itself to."""
        self.changed: list[Callable[[Run, Job], None]] = []
        self._ids = 70_000_000_000

    def next_id(self) -> int:
        """Above all ids of the laid history, which is laid anew with every fault."""
        self._ids += 7
        return self._ids

    def into(self, world: World) -> None:
        """Put the runs of now into a world that was laid anew, and what they hold."""
        known = {id(run) for run in world.runs}
        for live in self.live.values():
            if id(live.run) not in known:
                world.runs.append(live.run)
                known.add(id(live.run))
        for live in self.live.values():
            self._occupy(world, live)

    def _occupy(self, world: World, live: Live) -> None:
        runner = world.runner(live.holder)
        if runner is not None and live.state in ("assigned", "held"):
            runner.busy = True

    def queue(self, world: World, run: Run, job: Job, order: Order) -> Live:
        """From now on the job waits for a runner. The run comes into the world if it is not there yet."""
        job.status = "queued"
        live = Live(run, job, order, self.clock(), str(uuid.uuid4()))
        self.live[job.id] = live
        if run not in world.runs:
            world.runs.append(run)
        self._tell(live)
        return live

    def cancel(self, world: World, job_id: int) -> bool:
        """A queued job ends here; a running one's runner is told at its next poll. False when there is nothing to cancel."""
        live = self.live.get(job_id)
        if live is None or live.state == "done":
            return False
        if live.state == "held":
            live.cancelled = True
        else:
            self._end(world, live, "cancelled")
        return True

    def force(self, world: World, job_id: int) -> None:
        """A job ends as cancelled whatever its runner does."""
        live = self.live.get(job_id)
        if live is not None and live.state != "done":
            self._end(world, live, "cancelled")

    def tick(self, world: World) -> None:
        """What time alone brings: offers not taken, leases run out, a day in the queue."""
        now = self.clock()
        for live in list(self.live.values()):
            if live.state == "assigned" and now - live.since > self.limits.accept:
                name, live.holder, live.since = live.holder, "", now
                self._free(world, name)
            elif live.state == "held" and now > live.lease_until:
                live.job.annotations.append(LOST.format(name=live.holder))
                # A step that was cut off keeps no conclusion, as on GitHub.
                self._end(world, live, "failure")
            elif live.state == "queued" and now - live.since > self.limits.queue:
                live.job.annotations.append(UNTAKEN)
                self._end(world, live, "failure")

    def open_session(self, name: str) -> str | None:
        """A session's id; None while another listener of that name has one."""
        now = self.clock()
        held = self.sessions.get(name)
        if held is not None and now - held.polled <= self.limits.session:
            return None
        self.sessions[name] = Session(str(uuid.uuid4()), now)
        return self.sessions[name].id

    def age_session(self, name: str) -> None:
        """Let another listener of that name have a session now, unless the present one polls before it."""
        if name in self.sessions:
            self.sessions[name].polled -= self.limits.session

    def close_session(self, name: str, session: str) -> None:
        if name in self.sessions and self.sessions[name].id == session:
            del self.sessions[name]

    def has_session(self, name: str, session: str) -> bool:
        """Whether this is the runner's present session."""
        return name in self.sessions and self.sessions[name].id == session

    def keep_session(self, name: str, session: str) -> bool:
        """A poll in a session; False when it is not this runner's present one."""
        if not self.has_session(name, session):
            return False
        self.sessions[name].polled = self.clock()
        return True

    def offer(self, world: World, runner: Runner) -> Live | None:
        """The job that this runner should take now: the one offered before, or the longest waiting that matches."""
        mine = [live for live in self.live.values() if live.holder == runner.name and live.state != "done"]
        if mine:
            return mine[0] if mine[0].state == "assigned" else None
        if runner.busy:
            return None
        waiting = [live for live in self.live.values() if live.state == "queued" and fits(world, runner, live.job)]
        if not waiting:
            return None
        live = min(waiting, key=lambda it: (it.since, it.job.id))
        live.holder, live.since = runner.name, self.clock()
        runner.busy = True
        return live

    def cancelled_of(self, name: str) -> int:
        """The id of a job that this runner should give up, 0 for none."""
        return next((i for i, it in self.live.items() if it.holder == name and it.state == "held" and it.cancelled), 0)

    def acquire(self, world: World, job_id: int, name: str) -> Live | None:
        """The runner takes the job that was offered to it. None when it is not its to take any more."""
        live, runner = self.live.get(job_id), world.runner(name)
        if live is None or runner is None or live.state != "assigned" or live.holder != name:
            return None
        job, group = live.job, world.group(runner.group_id)
        job.status, job.started = "in_progress", moment()
        job.runner_id, job.runner_name = runner.id, runner.name
        job.group_id, job.group_name = (group.id, group.name) if group else (None, None)
        live.since = self.clock()
        live.lease_until = live.since + self.limits.lease
        self._tell(live)
        return live

    def renew(self, job_id: int, name: str) -> Live | None:
        """The lease begins anew. None when the job is not this runner's any more."""
        live = self.live.get(job_id)
        if live is None or live.state != "held" or live.holder != name:
            return None
        live.lease_until = self.clock() + self.limits.lease
        return live

    def complete(self, world: World, job_id: int, name: str, result: str) -> bool:
        """Raises ValueError for a result that GitHub does not know. False when the job is not this runner's any more."""
        if result not in RESULTS:
            raise ValueError(f"a result is one of {', '.join(RESULTS)}, not {result}")
        live = self.renew(job_id, name)
        if live is None:
            return False
        self._end(world, live, result)
        return True

    def _end(self, world: World, live: Live, result: str) -> None:
        live.job.status, live.job.conclusion, live.job.completed = "completed", result, moment()
        if live.job.runner_id is None:
            live.job.started = live.job.completed
        live.since = self.clock()
        self._free(world, live.holder)
        self._tell(live)

    def _free(self, world: World, name: str) -> None:
        """The runner is as busy as the jobs that it still has make it."""
        runner = world.runner(name)
        if runner is not None:
            runner.busy = any(it.holder == name and it.state != "done" for it in self.live.values())

    def _tell(self, live: Live) -> None:
        roll_up(live.run)
        for listener in self.changed:
            listener(live.run, live.job)

    def create(self, world: World, wish: Mapping[str, Any]) -> Live:
        """A run of one job, as the lab's own door asks for it: `labels`, `steps` ([{name, run}]), and what else an order has.

        Raises ValueError with a sentence when the wish makes no sense.
        """
        labels, steps = wish.get("labels"), wish.get("steps")
        if not isinstance(labels, list) or not labels:
            raise ValueError("a job needs labels")
        if not isinstance(steps, list) or not steps:
            raise ValueError("a job needs steps")
        now = moment()
        branch = world.branch(str(wish.get("branch") or world.default_branch))
        if branch is None:
            raise ValueError(f"there is no branch {wish.get('branch')}")
        name = str(wish.get("name") or "test")
        run = Run(
            self.next_id(), str(wish.get("path") or ".github/workflows/ci.yml"), 900 + len(self.live),
            str(wish.get("event") or "push"), branch.name, branch.sha, str(wish.get("title") or name),
            str(wish.get("actor") or "acme-developer"), now, [],
        )  # fmt: skip
        job = Job(self.next_id(), run.id, 1, name, "queued", None, now, now, None, [str(label) for label in labels])
        run.attempts.append(Attempt(1, "queued", None, now, now, [job]))
        return self.queue(world, run, job, order_of(wish))

    def shown(self, live: Live) -> dict[str, Any]:
        """What the lab's own door tells of a job."""
        return {
            "title": live.run.title,
            "run_id": live.run.id,
            "job_id": live.job.id,
            "state": live.state,
            "conclusion": live.job.conclusion,
            "runner": live.holder,
            "annotations": live.job.annotations,
            "steps": [{"name": s.name, "status": s.status, "conclusion": s.conclusion} for s in live.job.steps],
            "log": live.log,
            "outputs": live.outputs,
            "summaries": live.summaries,
        }


def moment() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def fits(world: World, runner: Runner, job: Job) -> bool:
    """Whether GitHub may send the job there: every label worn, case aside, in a group that this repository may use."""
    worn = {label.casefold() for label in (*runner.read_only, *runner.custom)}
    if not {label.casefold() for label in job.labels} <= worn:
        return False
    group = world.group(runner.group_id)
    return runner.scope == "repo" or group is None or group.visibility == "all" or world.full_name in group.repositories


def roll_up(run: Run) -> None:
    """The attempt's state follows from its jobs'."""
    attempt = run.last
    attempt.updated = moment()
    if all(job.status == "completed" for job in attempt.jobs):
        results = {job.conclusion for job in attempt.jobs}
        attempt.status = "completed"
        attempt.conclusion = next((r for r in ("failure", "cancelled") if r in results), "success")
        return
    attempt.conclusion = None
    order: tuple[Status, ...] = ("in_progress", "queued", "waiting", "pending")
    attempt.status = next((s for s in order if any(j.status == s for j in attempt.jobs)), "queued")


def order_of(wish: Mapping[str, Any]) -> Order:
    """Raises ValueError for a step without a name."""

    def texts(value: object) -> dict[str, str]:
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}

    steps = []
    for step in wish["steps"]:
        if not isinstance(step, dict) or not (step.get("run") or step.get("uses")):
            raise ValueError("a step is a mapping with run or uses")
        name = str(step.get("name") or (f"Run {str(step.get('run') or step.get('uses')).splitlines()[0]}"))
        steps.append(
            StepOrder(
                name,
                str(step.get("run") or ""),
                str(step.get("uses") or ""),
                str(step.get("if") or "success()"),
                texts(step.get("env")),
            )
        )
    order = Order(tuple(steps), texts(wish.get("env")), texts(wish.get("secrets")), texts(wish.get("files")))
    minutes = wish.get("timeout_minutes")
    return replace(order, timeout_minutes=float(minutes)) if isinstance(minutes, (int, float)) else order


def steps_of(told: object) -> list[Step]:
    """The steps as a runner tells them; what makes no sense is left out."""
    found: list[Step] = []
    for row in told if isinstance(told, list) else []:
        if not isinstance(row, dict) or row.get("status") not in ("queued", "in_progress", "completed"):
            continue
        started, completed = (_when(row.get(key)) for key in ("started", "completed"))
        conclusion = row.get("conclusion")
        found.append(
            Step(
                str(row.get("name")), row["status"], None if conclusion is None else str(conclusion), started, completed
            )
        )
    return found


def _when(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
