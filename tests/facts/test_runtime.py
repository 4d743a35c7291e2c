"""The container runtime, as the service's user meets it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.facts.context import Ssh
from fixtures.facts.hosts import Hosts
from fixtures.facts.runtime import Process, Runtime, Socket
from fixtures.facts.seen import NotApplicable, Unseen
from tests.facts.own import at
from tests.worlds import output, runner, world

SOCKET = Socket("/var/run/docker.sock", 0, 998, 0o660)
LISTENER = Process(1001, frozenset({1001, 998}))
DOCKER = Runtime("docker", "1.47", "", "1.47", LISTENER, SOCKET, False)


def test_a_runtime_that_answers() -> None:
    assert DOCKER.fault("runner") == ""
    assert replace(DOCKER, kind="podman", answer="crun", socket=None).fault("runner") == ""
    with pytest.raises(NotApplicable):
        Runtime("", "", "", "", None, None, False).fault("runner")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"process": Process(1001, frozenset({1001}))}, "its groups are 1001, and the socket is for group 998"),
        ({"socket": replace(SOCKET, mode=0o600)}, "may not use /var/run/docker.sock"),
        ({"answer": "", "why": "no answer in 5 s: it hangs"}, "it hangs"),
        ({"answer": "1.24"}, "docker's API is 1.24; the runner needs 1.35"),
        ({"answer": "crun"}, "docker's API is crun"),
        ({"nested": True}, "lives in a docker container itself"),
    ],
)
def test_a_runtime_that_jobs_cannot_use(change: dict[str, Any], says: str) -> None:
    assert says in replace(DOCKER, **change).fault("runner")


@pytest.mark.parametrize("why", ["unasked", "refused"])
def test_a_runtime_that_may_not_be_asked_is_unknown(why: str) -> None:
    with pytest.raises(Unseen, match="whether docker answers runner"):
        replace(DOCKER, answer="", why=why, told="sudo: a password is required").fault("runner")


WITH_DOCKER = world(hosts=Hosts(runtime="docker"), ssh=Ssh(sudo=True))


@pytest.mark.parametrize(
    ("docker", "why"),
    [
        ("echo 1.47", ""),
        (
            "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1",
            "exit 1",
        ),
        ("exec /bin/sleep 60", "no answer in 5 s: it hangs"),
        (None, "there is no such command"),
        ("echo 'WARNING: bad config' >&2; echo 1.47; exit 3", "exit 3"),
    ],
)
def test_how_docker_answers_the_services_user(
    sh: list[str], home: Path, tmp_path: Path, docker: str | None, why: str
) -> None:
    """The section names /usr/bin/docker, which is how sudoers must name it; here that place stands elsewhere."""
    place = tmp_path / "docker"
    if docker:
        place.write_text(f"#!/bin/sh\n{docker}\n")
        place.chmod(0o755)
    of = at(home)
    asked = Runtime.shell(of, WITH_DOCKER).replace("/usr/bin/docker", str(place))

    done = subprocess.run(
        [*sh, "-c", asked], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False
    )
    told = Runtime.parse(output(done.stdout), of)
    assert told.why == why
    assert (told.answer == "1.47") is (why == "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "runtime docker\n",
        "runtime docker\nsaid 1.47\nend\n",
        "runtime docker\ncode x\nsaid 1.47\nend\n",
        "code 0\nsaid 1.47\nend\n",
    ],
)
def test_half_a_runtime_is_unknown(text: str) -> None:
    with pytest.raises(Unseen):
        Runtime.parse(output(text), runner())


def test_an_answer_that_is_no_version_is_none() -> None:
    told = Runtime.parse(
        output(
            "runtime docker\nuid 1001\ngid 1001\ngids 1001 998\nsocket 0 998 660 /run/docker.sock\ncode 0\nsaid <no value> at all\nend\n"
        ),
        runner(),
    )
    assert told.answer == ""
    assert re.search("docker does not answer", told.fault("runner"))
    assert told.process == Process(1001, frozenset({1001, 998}))
