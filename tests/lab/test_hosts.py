"""The lab's hosts: what is pure in a blink, and the engines themselves where this machine can run them."""

import datetime
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import leftovers, monitor, network, tree, world
from lab.context import context_text, quoted
from lab.engine import packages_for
from lab.faults import FAULTS, heal_lab
from lab.faults_hosts import HOST_FAULTS
from lab.process import LabError
from lab.world import Host, Lab
from tests.lab.copies import Copy, copied

TODAY = datetime.date(2026, 3, 1)


def a_lab(root: Path, engine: str = "nspawn") -> Lab:
    lab = Lab(engine, root=root, subnet=7, address="10.77.7.254", api_port=8080, app_port=8081, database_port=8082)
    unit = tree.unit_name("prod-runner-01") if engine == "nspawn" else ""
    lab.hosts = (Host("prod-runner-01", 1, "10.77.7.11", 22, "/opt/actions-runner", "runner", "audit", unit),)
    return lab


def monitored(root: Path, engine: str = "nspawn") -> Lab:
    """A lab with the gate's key, whose monitoring listens."""
    lab = a_lab(root, engine)
    (lab.state / "ssh").mkdir(parents=True)
    world.make_key(lab.state / "ssh" / "id_ed25519", "test")
    monitor.directory(lab).mkdir(parents=True)
    (monitor.directory(lab) / "port").write_text("9090\n")
    return lab


def fingerprint(root: Path) -> str:
    """That of the gate's key, as ssh-keygen tells it."""
    key = root / ".lab" / "ssh" / "id_ed25519.pub"
    return subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True).stdout.split()[1]


class TestAddresses:
    def test_a_checkout_keeps_its_subnet(self) -> None:
        assert network.choose_subnet("000000fb", frozenset()) == 0xFB % network.SUBNETS
        assert network.choose_subnet("000000fb", frozenset()) == network.choose_subnet("000000fb", frozenset())

    def test_a_taken_subnet_is_stepped_over(self) -> None:
        assert network.choose_subnet("000000f9", frozenset({249, 0})) == 1

    def test_a_full_machine_is_said(self) -> None:
        with pytest.raises(LabError, match="every subnet"):
            network.choose_subnet("00000000", frozenset(range(network.SUBNETS)))

    def test_other_networks_are_not_taken_for_ours(self) -> None:
        said = (
            "2: eth0 inet 10.77.12.254/24 scope\n3: x inet 110.77.13.1/24\n10.88.14.0/24 dev y\n10.77.200.0/24 dev z\n"
        )
        assert network.taken_subnets(said) == {12, 200}

    def test_two_checkouts_have_two_ids_and_names_that_links_can_bear(self, tmp_path: Path) -> None:
        assert world.lab_id(tmp_path) != world.lab_id(tmp_path / "x")
        assert len(network.uplink(a_lab(tmp_path))) <= 15


class TestLeftovers:
    MOUNTINFO = (
        "20 1 0:1 / / rw - ext4 /dev/vda rw\n"
        "30 20 0:2 / /run/lab-1 rw - tmpfs x rw\n"
        "31 30 0:3 / /run/lab-1/a\\040b rw - overlay x rw,lowerdir=/run/lab-1\n"
        "32 20 0:4 / /run/lab-11 rw - tmpfs x rw\n"
    )

    def test_mounts_come_deepest_first_and_only_ours(self) -> None:
        assert leftovers.mounts_below(self.MOUNTINFO, "/run/lab-1") == ("/run/lab-1/a b", "/run/lab-1")

    def test_links_are_told_by_their_prefix(self) -> None:
        said = "4: eth0: <UP> mtu\n9: rp-0a1b2c3du@if2: <UP> mtu\n10: rp-ffffffffu@if2: <UP>\n"
        assert leftovers.links_of(said, "rp-0a1b2c3d") == ("rp-0a1b2c3du",)

    def test_a_parent_is_found_behind_an_odd_name(self) -> None:
        assert leftovers.parent_of("17 (a) b (c) S 4 17 17 0") == 4

    def test_a_family_never_holds_this_process(self) -> None:
        assert os.getpid() not in leftovers.family([os.getppid()])

    def test_nothing_is_found_of_a_lab_that_never_was(self, tmp_path: Path) -> None:
        assert not leftovers.find(a_lab(tmp_path))


class TestFiles:
    def test_the_context_is_yaml_of_the_agreed_shape(self, tmp_path: Path) -> None:
        context = yaml.safe_load(context_text(monitored(tmp_path), TODAY))
        runner = context["runners"][0]
        assert runner["supervisor"] == "systemd"
        assert runner["approved"]["until"] == TODAY + datetime.timedelta(days=90)
        assert runner["labels"][-1] == runner["runs_on"][-1] == "prod-runner-01"
        assert context["targets"][1]["tcp"] == "10.77.7.254:8082"
        assert context["rollback"]["artifact"] == "widgets-{sha}"
        assert context["monitoring"]["prometheus"] == "http://10.77.7.254:9090/prometheus"
        assert context["records"]["directory"] == "records"
        assert context["limits"]["disk_free"] == "32MiB"
        assert context["limits"]["time_daemon"] is True
        assert context["rollback"]["releases"]["host"] == context["deploy"]["host_lock"]["host"] == "production"
        assert context["hosts"]["keys"] == [fingerprint(tmp_path)]
        assert context["ssh"]["sudo"] is True

    def test_without_systemd_the_context_says_so(self, tmp_path: Path) -> None:
        context = yaml.safe_load(context_text(monitored(tmp_path, "loopback"), TODAY))
        assert context["runners"][0]["supervisor"] == "process"
        assert context["limits"]["time_daemon"] is False

    @pytest.mark.parametrize("text", ["/a b/c", "it's", "0x1", "#a", "", "plain"])
    def test_any_path_survives_yaml(self, text: str) -> None:
        assert yaml.safe_load(f"k: {quoted(text)}") == {"k": text}

    def test_a_registration_looks_as_the_real_one(self, tmp_path: Path) -> None:
        lab = a_lab(tmp_path)
        lab.github_state.mkdir(parents=True)
        (lab.github_state / "runner.key").write_text("lab-secret\n")
        files = tree.runner_files(lab, lab.hosts[0], 101)
        text, mode = files[".runner"]
        assert text.startswith("\ufeff{")
        assert mode == 0o644
        assert json.loads(text.removeprefix("\ufeff"))["agentId"] == 101
        assert files[".credentials_rsaparams"][1] == 0o600
        assert files[".service"][0] == "actions.runner.acme-widgets.prod-runner-01.service\n"

    def test_a_lab_remembers_itself(self, tmp_path: Path) -> None:
        lab = a_lab(tmp_path)
        lab.state.mkdir()
        lab.broken = ["clock-skew"]
        lab.save()
        assert world.load(tmp_path) == lab

    @pytest.mark.parametrize(
        "record",
        [
            '{"engine": "nspawn", "hosts": [{"name": "prod-runner-01"}]}',
            '{"engine": "nspawn", "hosts": [], "of": 1}',
            "{}",
            "{",
        ],
    )
    def test_what_another_version_remembered_is_no_lab(self, tmp_path: Path, record: str) -> None:
        (tmp_path / ".lab").mkdir()
        (tmp_path / ".lab" / "lab.json").write_text(record)
        assert world.load(tmp_path) is None

    def test_only_one_changes_a_lab(self, tmp_path: Path) -> None:
        with world.locked(tmp_path), pytest.raises(LabError, match="another lab command"), world.locked(tmp_path):
            pass

    def test_packages_of_the_build_bring_their_keys(self) -> None:
        assert packages_for(["mmdebstrap", "ssh", "ssh-keygen"]) == (
            "debian-archive-keyring",
            "mmdebstrap",
            "openssh-client",
        )


class TestFaults:
    @pytest.mark.parametrize("name", sorted(FAULTS))
    def test_ids_are_well_formed(self, name: str) -> None:
        fault = FAULTS[name]
        for each in fault.breaks | fault.unknown:
            assert re.fullmatch(r"[a-z-]+/[a-z0-9-]+(\[prod-runner-0[12]\])?", each), each
        assert not fault.breaks & fault.unknown
        assert fault.story.endswith((".", "?", "!"))

    def test_without_a_service_no_service_breaks(self) -> None:
        for fault in HOST_FAULTS:
            breaks, unknown = fault.expected("loopback")
            assert not any("service-running" in each for each in breaks | unknown)

    def test_healing_what_is_not_broken_does_nothing(self, tmp_path: Path) -> None:
        assert heal_lab(a_lab(tmp_path), "clock-skew") == []

    def test_an_unknown_fault_names_the_nearest(self, tmp_path: Path) -> None:
        with pytest.raises(LabError, match="did you mean clock-skew"):
            heal_lab(a_lab(tmp_path), "clock-skw")


@pytest.fixture(params=["nspawn", "loopback"])
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Copy]:
    with copied(str(request.param), tmp_path / "a checkout") as one:
        yield one


@pytest.mark.lab
class TestEngines:
    def test_a_lab_comes_breaks_heals_and_leaves_nothing(self, copy: Copy) -> None:
        before = copy.on_the_machine()
        said = copy.run("up")
        assert f"engine {copy.engine}: asked for" in said
        assert "the lab is up already" in copy.run("up")
        assert "broken by: nothing" in copy.run("status")
        assert copy.run("shell", "prod-runner-01", "echo", "here").strip() == "here"
        assert "PREFLIGHT_SSH_CONFIG=" in copy.run("env")
        copy.run("break", "sshd-stopped")
        assert "broken by: sshd-stopped" in copy.run("status", code=1)
        assert "is in place already" in copy.run("break", "sshd-stopped", code=1)
        assert "healed sshd-stopped" in copy.run("heal")
        copy.run("break", "host-key-changed")
        copy.run("reset", "prod-runner-01")
        assert "broken by: nothing" in copy.run("status")
        copy.run("down")
        assert copy.on_the_machine() == before

    @pytest.mark.parametrize("seconds", [0.3, 0.7])
    def test_a_killed_lab_is_cleared_away(self, copy: Copy, seconds: float) -> None:
        before = copy.on_the_machine()
        process = copy.start("up")
        time.sleep(seconds)
        process.kill()
        process.wait()
        copy.run("up")
        copy.run("status")
        copy.run("down")
        assert copy.on_the_machine() == before

    def test_a_wrong_call_is_exit_4(self, copy: Copy) -> None:
        copy.run("up", "--engine", "nosuch", code=4)
        assert "no lab is up" in copy.run("status", code=1)
