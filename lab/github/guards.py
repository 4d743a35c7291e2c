"""What an environment asks for before a job may run, and the deployments on record of those that ask for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab.github.jobs import Jobs, moment
from lab.github.router import Refused
from lab.github.world import Deployment, DeploymentState, Job, Run, World


@dataclass
class Guards:
    """`world` gives the world as it is laid at the moment. Everything is by the id of a job."""

    jobs: Jobs
    world: Callable[[], World]
    records: dict[int, Deployment] = field(default_factory=dict)
    held: dict[int, set[str]] = field(default_factory=dict)
    """What a waiting job still waits for: `review`, `timer`."""
    timers: dict[int, tuple[float, Run, Job]] = field(default_factory=dict)

    def admits(self, run: Run, job: Job, on_record: bool) -> bool:
        """Whether the job may go on at once; if not, it waits from now on."""
        guard = self.world().environment(job.environment) if job.environment else None
        held = {"review"} if guard is not None and guard.reviewers else set[str]()
        if guard is not None and guard.wait_minutes:
            held.add("timer")
            self.timers[job.id] = (self.jobs.clock() + 60 * guard.wait_minutes, run, job)
        if job.environment and on_record:
            record = self.records[job.id] = Deployment(
                self.jobs.next_id(), run.id, job.id, run.sha, run.branch, job.environment, run.actor, moment(), []
            )
            self.world().deployments.append(record)
            self.state(job, "waiting" if held else "queued")
        if held:
            self.held[job.id] = held
            job.status = "waiting"
        return not held

    def passes(self, job: Job, rule: str) -> bool:
        """One of the rules is satisfied: whether that was the last of them."""
        held = self.held.get(job.id, set())
        held.discard(rule)
        return not held and job.status == "waiting"

    def due(self) -> list[tuple[Run, Job]]:
        """Whose timers have run down, and who waits for nothing else."""
        over = [number for number, (ends, _, _) in self.timers.items() if self.jobs.clock() >= ends]
        found = [self.timers.pop(number)[1:] for number in over]
        return [(run, job) for run, job in found if self.passes(job, "timer")]

    def reviewable(self, run: Run, environments: list[str], who: str) -> list[Job]:
        """The jobs that wait for these environments. Raises Refused."""
        names = {name.casefold() for name in environments}
        found = [job for job in run.last.jobs if job.status == "waiting" and job.environment.casefold() in names]
        if not found:
            raise Refused(422, "No pending deployment requests to approve or reject")
        guard = self.world().environment(found[0].environment)
        if guard is not None and guard.prevent_self_review and who == run.actor:
            raise Refused(422, "Cannot approve a deployment that you started")
        return found

    def state(self, job: Job, state: str) -> None:
        record = self.records.get(job.id)
        if record is not None and not (record.states and record.states[-1].state in (state, "success", "failure")):
            record.states.append(DeploymentState(self.jobs.next_id(), state, moment()))
