"""Polls of a runner that the stand-in holds until there is something to tell."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from lab.agent.wire import Trouble, Wire
from tests.lab.standin import RUNNER_KEY, Standin, started

NAME = "prod-runner-01"
STEPS = [{"name": "Say", "run": "echo hello"}]


@pytest.fixture
def github(tmp_path: Path) -> Iterator[Standin]:
    """Polls are held for longer than any test waits for its answer: one that comes has come early."""
    with started(tmp_path) as one:
        one.order("PATCH", "jobs/limits", {"hold": 600, "session": 600})
        yield one


class Runner:
    """A runner of the stand-in, whose poll waits in a thread; `answers` has what came of it."""

    def __init__(self, github: Standin) -> None:
        self.wire = Wire(github.url, RUNNER_KEY)
        self.session = self.wire.post(f"runners/{NAME}/session", {"version": "2.336.0"})[1]["session"]
        self.answers: Queue[Any] = Queue()

    def poll(self) -> None:
        threading.Thread(target=self._poll, daemon=True).start()
        self.waits()

    def _poll(self) -> None:
        try:
            self.answers.put(self.wire.post(f"runners/{NAME}/poll", {"session": self.session, "hold": 50}, 50))
        except Trouble as error:
            self.answers.put(error)

    def waits(self) -> None:
        """Until the poll is under way."""
        for _ in range(500):
            if self.wire._waiting is not None:
                return
            threading.Event().wait(0.01)
        raise AssertionError("no poll went out")

    def heard(self) -> Any:
        return self.answers.get(timeout=20)


@pytest.fixture
def runner(github: Standin) -> Runner:
    found = Runner(github)
    found.poll()
    with pytest.raises(Empty):
        found.answers.get(timeout=0.3)
    return found


def test_a_job_ends_the_waiting(github: Standin, runner: Runner) -> None:
    job = github.order("POST", "jobs", {"labels": [NAME], "steps": STEPS})["job_id"]
    status, body = runner.heard()
    assert (status, body["job"]["id"]) == (200, job)


def test_an_update_ends_the_waiting(github: Standin, runner: Runner) -> None:
    github.order("POST", f"runners/{NAME}/update", {"version": "2.337.0"})
    assert runner.heard() == (200, {"update": "2.337.0"})


def test_a_registration_that_goes_ends_the_waiting(github: Standin, runner: Runner) -> None:
    github.order("DELETE", f"runners/{NAME}")
    assert runner.heard()[0] == 404


def test_who_is_taken_for_dead_shows_that_he_lives(github: Standin, runner: Runner) -> None:
    github.order("POST", f"runners/{NAME}/silent")
    assert runner.heard() == (200, {})
    assert (github.runner(NAME) or {})["status"] == "offline"
    runner.poll()
    assert (github.runner(NAME) or {})["status"] == "online"


def test_to_one_that_hung_up_no_job_is_offered(github: Standin, runner: Runner) -> None:
    runner.wire.interrupt()
    assert isinstance(runner.heard(), (OSError, http.client.HTTPException))
    # Longer than between two glances at the connection
    threading.Event().wait(0.5)
    job = github.order("POST", "jobs", {"labels": [NAME], "steps": STEPS})["job_id"]
    threading.Event().wait(0.5)
    assert github.order("GET", f"jobs/{job}")["state"] == "queued"


def test_who_does_not_ask_for_it_is_not_held(github: Standin) -> None:
    github.order("PATCH", "jobs/limits", {"hold": 0})
    assert Wire(github.url, RUNNER_KEY).post(f"runners/{NAME}/poll", {"hold": 50}) == (200, {})
    github.order("PATCH", "jobs/limits", {"hold": 600})
    assert Wire(github.url, RUNNER_KEY).post(f"runners/{NAME}/poll", {"hold": "long"}) == (200, {})
    assert Wire(github.url, RUNNER_KEY).post(f"runners/{NAME}/poll", {}) == (200, {})
