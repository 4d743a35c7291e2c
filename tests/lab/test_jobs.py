"""The runner's side of the stand-in: who gets which job, what a lease is worth, and what time alone brings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab.github.history import build
from lab.github.jobs import Jobs, Live, fits
from lab.github.world import Runner, World
from tests.lab.standin import REPO, RUNNER_KEY, Reply, Standin, started

STEPS = [{"name": "Say", "run": "echo hello"}]


class Clock:
    """Monotonic seconds that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Floor:
    """A world, its jobs, and a clock to wind."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.world: World = build("acme", "widgets", datetime(2026, 11, 24, tzinfo=UTC), {})
        self.jobs = Jobs(self.clock)

    def job(self, *labels: str) -> Live:
        return self.jobs.create(self.world, {"labels": list(labels), "steps": STEPS})

    def runner(self, name: str = "prod-runner-01") -> Runner:
        found = self.world.runner(name)
        assert found is not None
        return found

    def offered(self, name: str = "prod-runner-01") -> int:
        self.jobs.tick(self.world)
        live = self.jobs.offer(self.world, self.runner(name))
        return live.job.id if live else 0

    def held(self, name: str = "prod-runner-01") -> Live:
        """A job that this runner has taken."""
        live = self.job("self-hosted", name)
        assert self.offered(name) == live.job.id
        assert self.jobs.acquire(self.world, live.job.id, name) is live
        return live

    def wind(self, seconds: float) -> None:
        self.clock.now += seconds
        self.jobs.tick(self.world)


@pytest.fixture
def floor() -> Floor:
    return Floor()


@pytest.mark.parametrize(
    ("labels", "fit"),
    [
        (["self-hosted"], True),
        (["SELF-HOSTED", "linux", "x64", "Production"], True),
        (["self-hosted", "prod-runner-01"], True),
        (["self-hosted", "prod-runner-02"], False),
        (["self-hosted", "gpu"], False),
        (["ubuntu-latest"], False),
    ],
)
def test_a_job_goes_where_all_its_labels_are_worn(floor: Floor, labels: list[str], fit: bool) -> None:
    assert fits(floor.world, floor.runner(), floor.job(*labels).job) is fit


def test_a_group_that_the_repository_may_not_use_gets_nothing(floor: Floor) -> None:
    job = floor.job("self-hosted").job
    group = floor.world.group(floor.runner().group_id)
    assert group is not None
    group.repositories = ("acme/other",)
    assert not fits(floor.world, floor.runner(), job)
    group.visibility = "all"
    assert fits(floor.world, floor.runner(), job)


def test_the_longest_waiting_comes_first_and_one_at_a_time(floor: Floor) -> None:
    first = floor.job("self-hosted", "production")
    floor.wind(1)
    second = floor.job("self-hosted", "production")
    assert floor.offered("prod-runner-01") == first.job.id
    assert floor.offered("prod-runner-02") == second.job.id
    third = floor.job("self-hosted")
    assert floor.jobs.acquire(floor.world, first.job.id, "prod-runner-01")
    assert floor.offered("prod-runner-01") == 0, "it has one"
    assert floor.jobs.complete(floor.world, first.job.id, "prod-runner-01", "success")
    assert floor.offered("prod-runner-01") == third.job.id


def test_what_a_taken_job_tells(floor: Floor) -> None:
    told: list[str] = []
    floor.jobs.changed.append(lambda _run, job: told.append(job.status))
    live = floor.held()
    assert (live.job.status, live.job.runner_name, live.job.group_name) == (
        "in_progress",
        "prod-runner-01",
        "production",
    )
    assert live.run.last.status == "in_progress"
    assert floor.runner().busy
    assert floor.jobs.complete(floor.world, live.job.id, "prod-runner-01", "failure")
    assert (live.run.last.status, live.run.last.conclusion) == ("completed", "failure")
    assert not floor.runner().busy
    assert told == ["queued", "in_progress", "completed"]


def test_an_offer_that_is_not_taken_goes_back(floor: Floor) -> None:
    live = floor.job("self-hosted", "production")
    assert floor.offered("prod-runner-01") == live.job.id
    floor.wind(59)
    assert floor.offered("prod-runner-02") == 0
    floor.wind(2)
    assert not floor.runner().busy
    assert floor.offered("prod-runner-02") == live.job.id
    assert floor.jobs.acquire(floor.world, live.job.id, "prod-runner-01") is None, "too late"


def test_a_runner_that_stops_renewing_is_lost(floor: Floor) -> None:
    live = floor.held()
    for _ in range(20):
        floor.wind(60)
        assert floor.jobs.renew(live.job.id, "prod-runner-01")
    floor.wind(599)
    assert live.state == "held"
    floor.wind(2)
    assert (live.state, live.job.conclusion) == ("done", "failure")
    assert "prod-runner-01 lost communication with the server" in live.job.annotations[0]
    assert floor.jobs.renew(live.job.id, "prod-runner-01") is None
    assert not floor.jobs.complete(floor.world, live.job.id, "prod-runner-01", "success"), "the word comes too late"
    assert not floor.runner().busy


def test_a_job_that_nobody_takes_fails_after_a_day(floor: Floor) -> None:
    live = floor.job("self-hosted", "gpu")
    floor.wind(86_399)
    assert live.state == "queued"
    floor.wind(2)
    assert live.job.conclusion == "failure"
    assert "no enabled runners online" in live.job.annotations[0]
    assert live.job.runner_id is None


def test_a_cancelled_job_ends_in_the_queue_or_at_its_runner(floor: Floor) -> None:
    waiting, running = floor.job("self-hosted", "gpu"), floor.held()
    assert floor.jobs.cancel(floor.world, waiting.job.id)
    assert waiting.job.conclusion == "cancelled"
    assert floor.jobs.cancel(floor.world, running.job.id)
    assert floor.jobs.cancelled_of("prod-runner-01") == running.job.id
    assert floor.jobs.complete(floor.world, running.job.id, "prod-runner-01", "cancelled")
    assert floor.jobs.cancelled_of("prod-runner-01") == 0
    assert not floor.jobs.cancel(floor.world, running.job.id), "it is over"


def test_one_session_a_name(floor: Floor) -> None:
    session = floor.jobs.open_session("prod-runner-01")
    assert session
    assert floor.jobs.open_session("prod-runner-01") is None
    floor.clock.now += 2
    assert floor.jobs.keep_session("prod-runner-01", session)
    floor.clock.now += 2
    assert floor.jobs.open_session("prod-runner-01") is None
    floor.clock.now += 2
    other = floor.jobs.open_session("prod-runner-01")
    assert other and other != session, "who fell silent lost it"
    assert not floor.jobs.keep_session("prod-runner-01", session)


def test_a_world_laid_anew_keeps_what_runs(floor: Floor) -> None:
    live = floor.held()
    again = build("acme", "widgets", datetime(2026, 11, 24, tzinfo=UTC), {})
    floor.jobs.into(again)
    assert live.run in again.runs
    runner = again.runner("prod-runner-01")
    assert runner and runner.busy
    assert len({job.id for run in again.runs for job in run.jobs()}) == sum(len(run.jobs()) for run in again.runs)


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"labels": []},
        {"labels": ["x"]},
        {"labels": ["x"], "steps": [{"name": "x"}]},
        {"labels": ["x"], "steps": STEPS, "branch": "no"},
    ],
)
def test_a_wish_that_makes_no_sense_is_said(floor: Floor, wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs|is a mapping|no branch"):
        floor.jobs.create(floor.world, wish)


@pytest.fixture
def github(tmp_path: Path) -> Iterator[Standin]:
    with started(tmp_path) as one:
        yield one


def say(github: Standin, path: str, **body: object) -> Reply:
    return github.call("POST", f"/_lab/{path}", body, {"Authorization": f"Bearer {RUNNER_KEY}"})


def test_a_whole_job_over_the_wire(github: Standin) -> None:
    name = "prod-runner-01"
    session = say(github, f"runners/{name}/session", version="2.336.0").body["session"]
    assert say(github, f"runners/{name}/session", version="2.336.0").status == 409
    assert say(github, f"runners/{name}/poll", session=session).body == {}
    made = github.order("POST", "jobs", {"labels": ["self-hosted", name], "steps": STEPS, "secrets": {"A": "xyz"}})
    job = made["job_id"]
    assert github.get(f"{REPO}/actions/jobs/{job}")["status"] == "queued"
    assert say(github, f"runners/{name}/poll", session=session).body["job"]["id"] == job
    order = say(github, f"jobs/{job}/acquire", runner=name).body
    assert order["steps"][0]["run"] == "echo hello" and order["secrets"] == {"A": "xyz"}
    shown = github.get(f"{REPO}/actions/jobs/{job}")
    assert (shown["status"], shown["runner_name"]) == ("in_progress", name)
    assert (github.runner(name) or {})["busy"] is True
    assert say(github, f"jobs/{job}/log", runner=name, lines=["one", "two"]).status == 200
    at = "2026-11-24T04:05:06+00:00"
    step = {"name": "Say", "status": "completed", "conclusion": "success", "started": at, "completed": at}
    assert say(github, f"jobs/{job}/steps", runner=name, steps=[step, "junk"]).status == 200
    assert say(github, f"jobs/{job}/renew", runner="prod-runner-02").status == 404
    assert say(github, f"jobs/{job}/renew", runner=name).body["renew"] == 60
    assert say(github, f"jobs/{job}/complete", runner=name, result="fine").status == 422
    assert say(github, f"jobs/{job}/complete", runner=name, result="success").status == 200
    shown = github.get(f"{REPO}/actions/jobs/{job}")
    assert (shown["conclusion"], shown["steps"][0]["conclusion"]) == ("success", "success")
    assert github.order("GET", f"jobs/{job}")["log"] == ["one", "two"]
    github.fault("slow-deploys")
    assert github.get(f"{REPO}/actions/jobs/{job}")["conclusion"] == "success", "a fault leaves the runs of now alone"


def test_who_may_not_have_a_session(github: Standin) -> None:
    assert say(github, "runners/nobody/session", version="2.336.0").status == 404
    assert say(github, "runners/prod-runner-01/session", version="2.328.0").status == 403
    skewed = say(github, "runners/prod-runner-01/session", version="2.336.0", clock=1)
    assert (skewed.status, skewed.body) == (400, {"error": "invalid_client"})
    assert github.call("POST", "/_lab/jobs", {}, {"Authorization": f"Bearer {RUNNER_KEY}"}).status == 401
    assert github.call("POST", "/_lab/jobs", {}, {"X-Lab-Key": "no"}).status == 401


def test_the_labs_door_lists_jobs_and_loses_one(github: Standin) -> None:
    name = "prod-runner-01"
    session = say(github, f"runners/{name}/session", version="2.336.0").body["session"]
    job = github.order("POST", "jobs", {"labels": [name], "steps": STEPS, "title": "mine"})["job_id"]
    say(github, f"runners/{name}/poll", session=session)
    say(github, f"jobs/{job}/acquire", runner=name)
    assert [(it["title"], it["state"], it["log"]) for it in github.order("GET", "jobs")] == [("mine", "held", 0)]
    assert "lost communication" in github.order("POST", f"jobs/{job}/lose")["annotations"][0]
    assert github.call("POST", "/_lab/jobs/1/lose", {}, {"X-Lab-Key": "lab-key"}).status == 404
    assert github.call("POST", f"/_lab/jobs/{job}/find", {}, {"X-Lab-Key": "lab-key"}).status == 404


def test_a_runner_is_told_to_update_itself(github: Standin) -> None:
    name = "prod-runner-01"
    github.order("POST", f"runners/{name}/update", {"version": "2.337.0"})
    assert say(github, f"runners/{name}/poll", version="2.336.0").body == {"update": "2.337.0"}
    assert say(github, f"runners/{name}/poll", version="2.337.0").body == {}


def test_a_runner_that_a_fault_hides_keeps_its_session(github: Standin) -> None:
    github.fault("runner-unregistered")
    assert say(github, "runners/prod-runner-01/poll", version="2.336.0").status == 200
    github.order("DELETE", "runners/prod-runner-02")
    assert say(github, "runners/prod-runner-02/poll", version="2.336.0").status == 404


def test_time_can_be_made_to_pass_faster(github: Standin) -> None:
    assert github.order("PATCH", "jobs/limits", {"lease": 2})["lease"] == 2
    assert github.call("PATCH", "/_lab/jobs/limits", {"nosuch": 1}, {"X-Lab-Key": "lab-key"}).status == 422
