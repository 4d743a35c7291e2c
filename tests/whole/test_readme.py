"""Every command of the README, run as it stands there."""

from __future__ import annotations

import re

import pytest

from lab.world import REPOSITORY
from tests.whole.conftest import ROOT, Checkout

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]

# What .ci/run runs on every landing; a test of the tests would never end.
IN_CI = ("make demo", "make test")
IN_A_RUN = {"GITHUB_RUN_ID": "1", "GITHUB_RUN_ATTEMPT": "1", "RUNNER_NAME": "prod-runner-01"}


def test_ci_runs_the_two_commands() -> None:
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [command for command in IN_CI if command in ci] == list(IN_CI)
    assert COMMANDS[:2] == list(IN_CI)


def test_every_command_of_the_readme_works(lab: Checkout) -> None:
    token = ""
    address = re.findall(r"api_url: (\S+)", (lab.root / ".lab/context.yml").read_text())[0]
    for command in COMMANDS:
        if command in IN_CI:
            continue
        if command.startswith("export "):
            token = lab.token
            continue
        # Whoever reads it has GitHub's own address, and another repository.
        command = command.replace("REPO=owner/name", f"REPO={REPOSITORY} ARGS=--api-url={address}")
        # A replay of a profile's recording is never exit 0.
        code = 1 if command.startswith("pytest --seen") else 0
        # Nobody has the run of the README: the watch says so, and make turns that into its 2.
        code = 2 if command.startswith("make watch RUN=") else code
        ran = lab.run(["sh", "-c", command], code, environ={"PREFLIGHT_GITHUB_TOKEN": token, **IN_A_RUN})
        if command.startswith("make context "):
            (drafted,) = (
                path for path in (lab.root / "contexts").glob("*.yml") if path.stem == REPOSITORY.split("/")[1]
            )
            assert "approved:\n      by:" in drafted.read_text()
            drafted.unlink()
            # What only people know is filled as the lab's people would.
            world = (lab.root / ".lab/context.yml").read_text()
            world = re.sub(r"token: .*", "token: {env: PREFLIGHT_GITHUB_TOKEN}", world).replace(
                "config: ssh_config", "config: ../.lab/ssh_config"
            )
            (lab.root / "contexts/production.yml").write_text(world)
        if command == "make ci-quick CONTEXT=production":
            assert ran.line == "√ deploy on prod-runner-01"
    assert token, "the README says where the token goes"


def test_every_flag_of_the_inline_commands_is_known(lab: Checkout) -> None:
    known = lab.run(["pytest", "--help"]).out
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    # What stands in a table is asked on a host; the flags are other programs'.
    prose = re.sub(r"^\|.*$", "", prose, flags=re.MULTILINE)
    flags = {
        flag for span in re.findall(r"`([^`]+)`", prose) for flag in re.findall(r"(?<!\S)(--[a-z]+(?:-[a-z]+)*)", span)
    }
    assert flags
    for flag in sorted(flags):
        assert flag in known, f"README names {flag}"
