"""The switch of drills: what is typed on a host, and what its answers mean."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from fixtures.facts import switch as it
from fixtures.facts.seen import Output, Unseen

UNIT = "actions.runner.acme-widgets.prod-runner-01.service"
# As systemd 252 showed it on a host of the lab.
ARMED = (
    "LoadState=loaded\nActiveState=active\n"
    "ExecStart={ path=/usr/bin/systemctl ; argv[]=/usr/bin/systemctl start "
    f"{UNIT} ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }}\n"
)
GONE = "LoadState=not-found\nActiveState=inactive\n\n"


def done(out: str, code: int = 0, err: str = "") -> Output:
    return Output("done", code, out, err)


def test_an_armed_switch_says_what_it_will_run() -> None:
    found = it.switch(done(ARMED), "prod-1")
    assert found.armed and found.runs == f"/usr/bin/systemctl start {UNIT}"
    assert "is armed, and will run" in repr(found)


def test_one_that_is_gone_is_not_armed() -> None:
    found = it.switch(done(GONE), "prod-1")
    assert not found.armed and found.runs == "" and repr(found) == "the switch on prod-1 is not armed"


@pytest.mark.parametrize(
    ("out", "says"),
    [
        (done("", it.FAILED, "sudo: a password is required\n"), "it was not armed: sudo: a password is required"),
        (done("", it.NOT_SHOWN, "System has not been booted with systemd\n"), "systemctl did not show it"),
        (done(""), "systemctl did not show it"),
        (done("motd\n"), "systemctl did not show it"),
    ],
)
def test_what_is_not_shown_is_unseen(out: Output, says: str) -> None:
    with pytest.raises(Unseen) as raised:
        it.switch(out, "prod-1")
    assert says in raised.value.what


@pytest.mark.parametrize("name", ["x; reboot", "$(id).service", "a b.service", "", "unit.timer", "../x.service\n"])
def test_a_name_that_no_service_has_never_reaches_a_shell(name: str) -> None:
    for way in it.WAYS.values():
        with pytest.raises(Unseen):
            it.take(way, name)
        with pytest.raises(Unseen):
            it.arm(way, name, 60)


@pytest.mark.parametrize("name", it.WAYS)
def test_nothing_is_taken_away_without_a_switch(name: str) -> None:
    """Asked on the host, in the same breath."""
    shell = it.take(it.WAYS[name], UNIT)
    assert shell.startswith(f'[ "$(systemctl is-active {it.UNIT}.timer)" = active ] || exit {it.NOT_ARMED}\n')


@pytest.mark.parametrize("name", it.WAYS)
def test_the_switch_goes_last(name: str) -> None:
    """What fails before it leaves it armed."""
    shell = it.give(it.WAYS[name], UNIT)
    assert shell.index(it.WAYS[name].of(UNIT)[1][0].split()[1]) < shell.index(f"stop {it.UNIT}.timer")


@pytest.mark.parametrize("name", it.WAYS)
def test_what_is_asked_as_root_is_in_the_table(name: str) -> None:
    import shlex

    allowed = {command.replace("UNIT", UNIT) for command in it.commands(60)}
    way = it.WAYS[name]
    for shell in (it.arm(way, UNIT, 60), it.take(way, UNIT), it.give(way, UNIT)):
        for line in shell.splitlines():
            _, sudo, rest = line.partition("sudo -n ")
            if sudo:
                words = shlex.split(rest.partition(" || ")[0])
                assert " ".join(words) in allowed


@pytest.mark.skipif(not shutil.which("dash"), reason="dash is not here")
@pytest.mark.parametrize("name", it.WAYS)
def test_it_is_shell(name: str) -> None:
    way = it.WAYS[name]
    for shell in (it.arm(way, UNIT, 60), it.take(way, UNIT), it.give(way, UNIT), it.SHOW):
        subprocess.run(["dash", "-n", "-c", shell], check=True)


def test_whether_it_is_back_is_the_services_own_word() -> None:
    assert it.active(done("service=active\n" + GONE))
    assert not it.active(done("service=inactive\n" + GONE))
    assert not it.active(done(GONE))
