"""Hosts as machines: their size, their distance, their power, and a gate that meets ten of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.copies import Copy, copied

pytestmark = [pytest.mark.lab, pytest.mark.slow]

FIRST, SECOND = "prod-runner-01", "prod-runner-02"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    with copied("nspawn", tmp_path_factory.mktemp("machine") / "a checkout") as copy:
        copy.run("up", "--disk", "300m", "--host", f"{SECOND}:disk=400m,work=64m,memory=160m")
        yield copy
        copy.run("down")


def on(lab: Copy, host: str, script: str, code: int = 0) -> str:
    return lab.run("shell", host, "/bin/sh", "-c", script, code=code)


def test_disks_have_the_sizes_that_were_asked_for(lab: Copy) -> None:
    script = "df -Pm / /opt/actions-runner/_work | awk 'NR > 1 { print $2 }'"
    assert on(lab, FIRST, script).split() == ["300", "128"]
    assert on(lab, SECOND, script).split() == ["400", "64"]


def test_a_host_out_of_memory_kills_in_itself(lab: Copy) -> None:
    """What asks for too much is killed, and the host lives on."""
    hog = "systemd-run --quiet --wait --unit=hog python3 -c 'b = bytearray(400 << 20)'"
    assert on(lab, FIRST, f"{hog}; echo $?").strip() == "0"
    assert on(lab, SECOND, f"{hog} || true; systemctl show hog --property=Result --value").strip() in (
        "signal",
        "oom-kill",
    )
    lab.run("status")


def test_a_delay_is_added_to_every_round_trip_and_taken_away(lab: Copy) -> None:
    def quickest() -> float:
        said = on(lab, FIRST, f"ping -n -c 5 -i 0.2 {gateway}")
        found = re.search(r"min/avg/max/mdev = ([0-9.]+)/", said)
        assert found, said
        return float(found[1])

    gateway = on(lab, FIRST, "awk '/^nameserver/ { print $2 }' /etc/resolv.conf").strip()
    lab.run("delay", FIRST, "80")
    assert quickest() >= 80
    # A segment as large as the sender makes them comes through as well.
    assert on(lab, FIRST, "curl -sS -o /dev/null -w '%{http_code}' https://api.github.com/").strip() == "200"
    lab.run("status")
    lab.run("delay", FIRST, "0")
    assert quickest() < 80
    lab.run("delay", FIRST, "10", "--loss", "20")
    assert "20 packets transmitted, 20 received" not in on(lab, FIRST, f"ping -n -c 20 -i 0.2 {gateway} || true")
    lab.run("reset", FIRST)
    assert quickest() < 10


def test_a_reboot_keeps_the_disk_and_the_machine(lab: Copy) -> None:
    on(lab, FIRST, "echo kept > /var/tmp/mark")
    machine, boots = on(lab, FIRST, "cat /etc/machine-id"), on(lab, FIRST, "journalctl --list-boots | wc -l")
    lab.run("reboot", FIRST)
    assert on(lab, FIRST, "cat /var/tmp/mark").strip() == "kept"
    assert on(lab, FIRST, "cat /etc/machine-id") == machine
    assert int(on(lab, FIRST, "journalctl --list-boots | wc -l")) == int(boots) + 1
    lab.run("status")


def test_a_reset_keeps_nothing(lab: Copy) -> None:
    machine = on(lab, SECOND, "touch /var/tmp/mark; cat /etc/machine-id")
    lab.run("break", "power-cut")
    lab.run("reset", FIRST)
    lab.run("reset", SECOND)
    on(lab, SECOND, "test ! -e /var/tmp/mark")
    assert on(lab, SECOND, "cat /etc/machine-id") != machine
    assert "broken by: nothing" in lab.run("status")


def test_ten_hosts_at_once(tmp_path: Path) -> None:
    with copied("nspawn", tmp_path / "ten") as ten:
        before = ten.on_the_machine()
        ten.run("up", "--hosts", "10")
        assert ten.run("status").count("ssh answers, at the stand-in online") == 10
        assert ten.run("context").count("connection: ssh") == 10
        ten.run("down")
        assert ten.on_the_machine() == before
