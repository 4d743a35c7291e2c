"""What the tests look through is brought by the project itself, and no server is started for all the world."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lab import need
from lab.process import LabError
from tests.whole.stack import PROGRAMS


def test_the_real_monitoring_is_brought() -> None:
    assert PROGRAMS.items() <= need.TOOLS.items()
    assert set(PROGRAMS.values()) <= need.SERVERS


def test_only_what_is_not_here_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(need, "which", lambda command: None if command in ("amtool", "strace") else "/x")
    monkeypatch.setattr(need, "missing", lambda _: ("sshd",))
    assert need.wanted(False) == ("openssh-server",)
    assert need.wanted(True) == ("openssh-server", "prometheus-alertmanager", "strace")


@pytest.mark.parametrize(
    ("systemd", "thrown_away", "brought"),
    [(False, False, "all"), (True, True, "all"), (False, True, "all"), (True, False, ("strace",))],
)
def test_no_server_on_a_machine_of_somebody(systemd: bool, thrown_away: bool, brought: Sequence[str]) -> None:
    packages = ("openssh-server", "prometheus", "strace")
    expected = packages if brought == "all" else brought
    assert need.allowed(packages, systemd=systemd, thrown_away=thrown_away) == expected


def test_one_that_no_system_has_keeps_no_other_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[tuple[str, ...]] = []

    def install(packages: Sequence[str], say: object) -> None:
        tried.append(tuple(packages))
        if "chromium" in packages:
            raise LabError("there is no chromium")

    monkeypatch.setattr(need, "install", install)
    monkeypatch.setattr(need, "can_install", lambda: True)
    monkeypatch.setattr(need, "wanted", lambda _: ("busybox", "chromium"))
    assert need.main(["all"]) == 0
    assert tried == [("busybox", "chromium"), ("busybox",), ("chromium",)]
    assert "sudo apt-get install -y chromium\n" in capsys.readouterr().err


def test_without_rights_it_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(need, "can_install", lambda: False)
    monkeypatch.setattr(need, "wanted", lambda _: ("busybox",))
    monkeypatch.setattr(need, "install", lambda *_: pytest.fail("nobody asked for that"))
    assert need.main([]) == 0
    assert "sudo apt-get install -y busybox\n" in capsys.readouterr().err
