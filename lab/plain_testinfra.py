"""What the host part of the gate asks, asked the way people ask it with plain pytest-testinfra: one test a question.

Run by `lab.bench` as a process of its own, over testinfra's own connections; `BENCH_WORLD` names a JSON file that says
what stands where. Each test asks about as much as the check that it stands beside, and none asks more.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

WORLD: dict[str, Any] = json.loads(Path(os.environ["BENCH_WORLD"]).read_text("utf-8"))
DIRECTORY: str = WORLD["directory"]
WORK = f"{DIRECTORY}/_work"
PLACES = ("/", DIRECTORY, WORK, "/tmp")
DAEMONS = ("chronyd", "ntpd", "systemd-timesyncd")


@pytest.fixture
def unit(host: Any) -> str:
    return str(host.file(f"{DIRECTORY}/.service").content_string).strip()


@pytest.fixture
def listener(host: Any) -> Any:
    return host.process.get(comm="Runner.Listener")


# service-running, listener-alive


def test_service(host: Any, unit: str) -> None:
    service = host.service(unit)
    assert service.is_running
    assert service.is_enabled


def test_service_does_not_relaunch(host: Any, unit: str) -> None:
    said = host.check_output("journalctl -u %s --since=-1h --no-pager -o cat", unit)
    assert said.count("re-launch runner in 5 seconds") < 3


def test_listener(listener: Any, host: Any, unit: str) -> None:
    assert listener.user == WORLD["user"]
    assert unit in host.file(f"/proc/{listener.pid}/cgroup").content_string


# disk-room


@pytest.mark.parametrize("place", PLACES)
def test_room(host: Any, place: str) -> None:
    assert int(host.check_output("df -Pk %s", place).split()[-3]) >= 32 * 1024
    assert int(host.check_output("df -Pi %s", place).split()[-3]) > 0


@pytest.mark.parametrize("place", ["/", WORK])
def test_mount_is_writable(host: Any, place: str) -> None:
    assert "rw" in host.mount_point(place).options


# memory-room, load-sane


def test_memory(host: Any) -> None:
    text = host.file("/proc/meminfo").content_string
    assert int(text.split("MemAvailable:")[1].split()[0]) > 0


def test_load(host: Any) -> None:
    assert float(host.file("/proc/loadavg").content_string.split()[0]) < 1000


# clock-true


def test_clock(host: Any) -> None:
    assert int(host.check_output("date +%s")) > 0
    assert any(host.process.filter(comm=name[:15]) for name in DAEMONS)


# reaches-production, targets-certified, reaches-github


@pytest.mark.parametrize("target", WORLD["targets"], ids=lambda t: t["name"])
def test_target(host: Any, target: dict[str, Any]) -> None:
    if "tcp" in target:
        name, _, port = target["tcp"].rpartition(":")
        assert host.run("timeout 5 bash -c %s", f"</dev/tcp/{name}/{port}").rc == 0
    else:
        said = host.run("curl -sS -o /dev/null -m 5 -w '%%{http_code}' %s", target["url"])
        assert said.stdout == str(target.get("status", 200))


@pytest.mark.parametrize("address", WORLD["certified"])
def test_certificate(host: Any, address: str) -> None:
    said = host.run("echo | openssl s_client -connect %s 2>/dev/null | openssl x509 -noout -checkend 1209600", address)
    assert said.rc == 0


@pytest.mark.parametrize("address", WORLD["reach"])
def test_egress(host: Any, address: str) -> None:
    assert host.run("curl -sS -o /dev/null -m 5 %s", address).rc == 0


# workspace-clean, identity-private, hooks-in-place, tools-present


def test_workspace(host: Any) -> None:
    assert host.file(WORK).user == WORLD["user"]
    assert host.check_output("find %s -maxdepth 4 ! -user %s", WORK, WORLD["user"]) == ""


def test_identity(host: Any) -> None:
    key = host.file(f"{DIRECTORY}/.credentials_rsaparams")
    assert key.user == WORLD["user"]
    assert key.mode == 0o600
    assert not host.file(DIRECTORY).mode & 0o022


def test_hooks(host: Any) -> None:
    for hook in WORLD["hooks"]:
        file = host.file(hook)
        assert file.exists
        assert file.user == "root"
        assert not file.mode & 0o022


@pytest.mark.parametrize("tool", WORLD["tools"], ids=lambda t: t["name"])
def test_tool(host: Any, tool: dict[str, str]) -> None:
    assert host.exists(tool["name"])
    assert host.run("%s %s", tool["name"], tool.get("ask", "--version")).rc == 0


# hardened, equal-controls


def test_environment(host: Any, unit: str) -> None:
    text = host.file(f"{DIRECTORY}/.env").content_string + host.check_output(
        "systemctl show -p Environment,EnvironmentFiles -- %s", unit
    )
    assert "ACTIONS_RUNNER_DEBUG" not in text


def test_user(host: Any) -> None:
    user = host.user(WORLD["user"])
    assert user.shell
    assert not {"sudo", "docker"} & set(user.groups)


def test_sshd(host: Any) -> None:
    text = host.check_output("cat /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf").casefold()
    assert "passwordauthentication no" in text
    assert "permitrootlogin no" in text


def test_authorized_keys(host: Any) -> None:
    assert len(host.check_output("ssh-keygen -lf ~/.ssh/authorized_keys").splitlines()) == 1


@pytest.mark.parametrize("package", ["openssh-server", "sudo", "curl", "systemd"])
def test_package(host: Any, package: str) -> None:
    found = host.package(package)
    assert found.is_installed
    assert found.version


def test_system(host: Any) -> None:
    assert host.system_info.distribution
    assert host.check_output("uname -r")
    assert host.sysctl("vm.swappiness") >= 0


# container-runtime


def test_runtime(host: Any) -> None:
    for program in ("docker", "podman"):
        assert not host.exists(program) or host.run(f"{program} info").rc == 0
