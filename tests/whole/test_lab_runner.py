"""The runner agent on a real host, under a real systemd: jobs as the service user, and deaths as systemd sees them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.whole.conftest import Checkout

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
NAME = "prod-runner-01"

ASK = """
import json, sys
from lab import world
lab = world.load()
method, path, body = sys.argv[1:]
print(json.dumps(lab.request(method, path, json.loads(body) if body else None)))
"""


class Host:
    """The primary and the stand-in, as the lab's own commands reach them."""

    def __init__(self, lab: Checkout) -> None:
        self.lab = lab

    def ask(self, method: str, path: str, body: object = None) -> Any:
        argv = [sys.executable, "-c", ASK, method, path, "" if body is None else json.dumps(body)]
        return json.loads(self.lab.run(argv).out)

    def shell(self, script: str) -> str:
        return self.lab.lab("shell", NAME, "sh", "-c", script)

    def job(self, *scripts: str, **more: object) -> int:
        steps = [{"name": f"Step {n}", "run": text} for n, text in enumerate(scripts)]
        wish = {"labels": ["self-hosted", "LINUX", NAME], "steps": steps, **more}
        return int(self.ask("POST", "/_lab/jobs", wish)["job_id"])

    def until(self, job: int, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while not true(found := self.ask("GET", f"/_lab/jobs/{job}")):
            assert time.monotonic() < deadline, found
            time.sleep(0.3)
        return dict(found)

    def unit(self, *properties: str) -> list[str]:
        """Their values: systemd prints them in an order of its own."""
        unit = '"$(cat /opt/actions-runner/.service)"'
        return [self.shell(f"systemctl show --value -p {name} {unit}").strip() for name in properties]


@pytest.fixture
def host(lab: Checkout) -> Iterator[Host]:
    if json.loads((lab.root / ".lab" / "lab.json").read_text())["engine"] != "nspawn":
        pytest.skip("without systemd there is no service to look at (engine loopback)")
    yield Host(lab)
    lab.lab("reset", NAME)


def ended(found: dict[str, Any]) -> bool:
    return bool(found["state"] == "done")


def test_a_job_runs_as_the_service_user_in_the_work_directory(host: Host) -> None:
    script = 'id -un; pwd; cat /proc/self/oom_score_adj; tr "\\0" " " </proc/$PPID/cmdline; echo; echo hush-hush'
    done = host.until(host.job(script, secrets={"S": "hush-hush"}), ended)
    said = [line.partition("Z ")[2] for line in done["log"]]
    assert (done["conclusion"], done["runner"]) == ("success", NAME)
    assert {"runner", "/opt/actions-runner/_work/widgets/widgets", "500", "***"} <= set(said)
    assert any("/opt/actions-runner/bin/Runner.Worker spawnclient" in line for line in said)
    assert "hush-hush" not in "\n".join(done["log"])
    assert host.shell("ls -A /opt/actions-runner/_work/_temp") == ""
    assert "hush-hush" not in host.shell("cat /opt/actions-runner/_diag/*.log")


def test_a_killed_listener_is_relaunched_and_systemd_counts_nothing(host: Host) -> None:
    before = host.shell("pgrep -x Runner.Listener").strip()
    host.shell("pkill -KILL -x Runner.Listener")
    host.shell(f"until pgrep -x Runner.Listener | grep -vqx {before}; do sleep 0.2; done")
    assert host.unit("ActiveState", "NRestarts") == ["active", "0"]
    journal = host.shell("journalctl -o cat -u 'actions.runner.*'")
    assert "Runner listener exited with error code null" in journal
    assert "undefined return code, re-launch runner in 5 seconds" in journal


def test_a_service_that_stops_during_a_job_cancels_it_and_ends_well(host: Host) -> None:
    job = host.job("exec sleep 600")
    host.until(job, lambda found: any(s["name"] == "Step 0" and s["status"] == "in_progress" for s in found["steps"]))
    host.shell('systemctl stop "$(cat /opt/actions-runner/.service)"')
    done = host.until(job, ended)
    assert done["conclusion"] == "cancelled"
    assert any("The runner has received a shutdown signal" in line for line in done["log"])
    assert host.unit("ActiveState", "Result") == ["inactive", "success"]
    assert host.shell("pgrep -x Runner.Worker || pgrep -x sleep || true") == ""


@pytest.mark.slow
def test_an_update_relaunches_once_into_the_new_version(host: Host, lab: Checkout) -> None:
    host.ask("POST", f"/_lab/runners/{NAME}/update", {"version": "2.337.0"})
    try:
        host.shell(
            "until grep -qs \"Current runner version: '2.337.0'\" /opt/actions-runner/_diag/Runner_*.log; do sleep 0.2; done"
        )
        assert host.shell("readlink /opt/actions-runner/bin").strip() == "/opt/actions-runner/bin.2.337.0"
        assert host.shell("ls /opt/actions-runner/_diag").count("SelfUpdate") == 1
        assert "because of updating, re-launch runner in 5 seconds" in host.shell(
            "journalctl -o cat -u 'actions.runner.*'"
        )
        done = host.until(host.job("true"), ended)
        assert done["conclusion"] == "success"
    finally:
        host.ask("POST", f"/_lab/runners/{NAME}/update", {"version": ""})


def test_the_service_is_managed_by_its_own_script(host: Host) -> None:
    """`svc.sh`, as people use it: what it installs is what the host came with."""
    unit = f"/etc/systemd/system/{host.shell('cat /opt/actions-runner/.service').strip()}"
    before = host.shell(f"cat {unit}; cat /opt/actions-runner/.service")
    script = "cd /opt/actions-runner; "
    host.shell(f"{script}./svc.sh stop")
    assert host.unit("ActiveState") == ["inactive"]
    host.shell(f"{script}./svc.sh uninstall")
    assert host.shell(f"{script}./svc.sh status || echo code $?").split("\n")[-2:] == ["code 1", ""]
    assert host.shell(f"ls {unit} /opt/actions-runner/.service 2>&1 || true").count("No such file") == 2
    host.shell(f"{script}./svc.sh install runner")
    assert host.unit("ActiveState", "UnitFileState") == ["inactive", "enabled"], "installing starts nothing"
    assert host.shell(f"cat {unit}; cat /opt/actions-runner/.service") == before
    host.shell(f"{script}./svc.sh start")
    assert host.unit("ActiveState") == ["active"]
    host.until(host.job("echo again"), ended)
