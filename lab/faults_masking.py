"""Faults of masking and of what jobs print: a runner that lacks one of its rules, a log that holds what it should not.

A masking fault takes one rule away from the agent on the primary, and has it run the canary: for real, through the
queue, with the script of secret-canary.yml.
"""

import shlex
from collections.abc import Callable

from lab import canary
from lab.agent.masker import ENCODERS, OFF
from lab.engine import on
from lab.fault import BOTH, Fault
from lab.faults_github import deleted, posted, world
from lab.faults_hosts import PRIMARY
from lab.process import until
from lab.world import Lab

MASKED = "secret-masking/canary-masked"
STORIES = {
    **{name: f"The primary does not mask secrets in their form {name}." for name in ENCODERS},
    "lines": "The primary masks a secret with lines only where it stands whole.",
    "add-mask": "The primary does not hear ::add-mask::.",
}


def run_canary(lab: Lab, runner: str) -> None:
    """A run of the canary on that runner, to its end."""
    order = {
        "labels": ["self-hosted", runner],
        "steps": [{"name": "Print the canary", "run": canary.script()}],
        "path": ".github/workflows/secret-canary.yml",
        "name": f"canary ({runner})",
        "event": "workflow_dispatch",
        "title": "Secret canary",
    }
    job = lab.request("POST", "/_lab/jobs", order)["job_id"]
    until(lambda: lab.request("GET", f"/_lab/jobs/{job}")["state"] == "done", f"the canary on {runner} to end", 60, 0.2)
    until(lambda: not lab.runners()[runner]["busy"], f"{runner} to be idle again", 20, 0.2)


def without(rule: str) -> Callable[[Lab], None]:
    def inject(lab: Lab) -> None:
        place = shlex.quote(f"{lab.host(PRIMARY).directory}/{OFF}")
        on(lab, PRIMARY, f"printf '%s\\n' {shlex.quote(rule)} > {place}; chmod 644 {place}")
        run_canary(lab, PRIMARY)

    return inject


def whole(lab: Lab) -> None:
    on(lab, PRIMARY, f"rm -f {shlex.quote(f'{lab.host(PRIMARY).directory}/{OFF}')}")
    run_canary(lab, PRIMARY)


FAULTS: tuple[Fault, ...] = (
    *(
        Fault(f"masking-{rule}", story, frozenset({f"{MASKED}[{PRIMARY}]"}), frozenset(), BOTH, without(rule), whole)
        for rule, story in STORIES.items()
    ),
    world(
        "canary-old",
        "The canary ran nine days ago, and not since.",
        f"{MASKED}[prod-runner-01]",
        f"{MASKED}[prod-runner-02]",
    ),
    world(
        "canary-skipped-standby",
        "The canary ran on the primary alone.",
        f"{MASKED}[prod-runner-02]",
    ),
    world(
        "secret-in-log", "The newest deploy printed a token that nobody had registered.", "secret-masking/logs-clean"
    ),
    world("canary-in-log", "A deploy printed the canary, so it can print anything.", "secret-masking/logs-clean"),
    world("logs-expired", "The logs of the older deploys have expired; they hold nothing any more."),
    Fault(
        "logs-lost",
        "GitHub gives no logs of jobs any more, and there is a deploy whose log nobody has read yet.",
        frozenset(),
        frozenset({"secret-masking/logs-clean", f"{MASKED}[prod-runner-01]", f"{MASKED}[prod-runner-02]"}),
        BOTH,
        posted("logs-lost", None),
        deleted("logs-lost"),
    ),
)
