"""A real docker on a real host: it answers, the listener lacks the group, it hangs, it is dead. Minutes, and a larger image."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab.engine import PROBES
from tests.whole.conftest import Checkout, copied

UNIT = "actions.runner.acme-widgets.prod-runner-01.service"
PRIMARY, STANDBY = (
    "runner-health/container-runtime[prod-runner-01]",
    "runner-health/container-runtime[prod-runner-02]",
)
pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.xdist_group("docker"),
    pytest.mark.skipif(
        os.geteuid() != 0 or not PROBES["nspawn"]().possible or bool(PROBES["nspawn"]().missing),
        reason="a host with docker needs root and systemd-nspawn",
    ),
]


@pytest.fixture(scope="module")
def docked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A lab whose primary has docker, and a context that wants it of both."""
    own = copied(tmp_path_factory.mktemp("docked") / "checkout")
    own.run(
        [
            str(own.root / ".venv/bin/python"),
            "-m",
            "lab",
            "up",
            "--engine=nspawn",
            "--host",
            "prod-runner-01:image=docker",
        ],
        seconds=600,
    )
    context = own.root / ".lab" / "context.yml"
    context.write_text(context.read_text().replace("\nhosts:\n", "\nhosts:\n  runtime: docker\n"))
    yield own
    own.lab("down")


def told(docked: Checkout, script: str = "") -> dict[str, tuple[str, str]]:
    """Outcome and what was seen of the check, by its name, after a script on the primary."""
    if script:
        docked.lab("shell", "prod-runner-01", "sh", "-euc", script)
    ran = docked.gate("-k", "container-runtime", "--only-hosts", profile="")
    return {f"{c['check']}[{c['runner']}]": (c["outcome"], c["saw"]) for c in ran.verdict["checks"]}


def test_what_docker_can_do_to_a_runner(docked: Checkout) -> None:
    """One after the other, in one lab: each state is real, and each says its own sentence."""
    seen = told(docked)
    assert seen[PRIMARY][0] == "held"
    assert seen[STANDBY][0] == "broken"
    assert "there is no such command" in seen[STANDBY][1]

    # The user gets the group again, and its running listener does not: `id` shows it, the process lacks it.
    without = f"gpasswd -d runner docker; systemctl restart {UNIT}; sleep 2; usermod -aG docker runner"
    outcome, saw = told(docked, without)[PRIMARY]
    assert outcome == "broken"
    assert "a group that was given later needs a restart" in saw
    assert told(docked, f"systemctl restart {UNIT}; sleep 2")[PRIMARY][0] == "held"

    outcome, saw = told(docked, "kill -STOP $(pidof dockerd)")[PRIMARY]
    assert (outcome, "it hangs" in saw) == ("broken", True)

    outcome, saw = told(docked, "kill -CONT $(pidof dockerd); systemctl stop docker.socket docker")[PRIMARY]
    assert (outcome, "Cannot connect to the Docker daemon" in saw) == ("broken", True)
