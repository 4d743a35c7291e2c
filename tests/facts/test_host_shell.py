"""Each fact's shell is run here, by every sh there is, and its answer read."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.facts.context import Target
from fixtures.facts.host import Disks, Reaches, TimeDaemons
from fixtures.facts.hostfacts import HOST_FACTS
from fixtures.facts.limits import Limits
from fixtures.facts.seen import Output, Unseen
from fixtures.facts.unit import Unit
from tests.fixtures.api import Api, api, says
from tests.shells import commands, run
from tests.worlds import runner, world


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A runner's root in a place that must be quoted."""
    path = tmp_path / "a runner"
    (path / "_work").mkdir(parents=True)
    return path


@pytest.mark.parametrize("fact", HOST_FACTS)
def test_the_shell_is_posix(fact: str, sh: list[str], home: Path) -> None:
    script = HOST_FACTS[fact].shell(runner(directory=str(home)), world())
    checked = subprocess.run([*sh, "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not here")
@pytest.mark.parametrize("fact", HOST_FACTS)
def test_the_shell_is_clean(fact: str, home: Path) -> None:
    """Nothing that shellcheck warns of; its notes on style are left to us."""
    script = HOST_FACTS[fact].shell(runner(directory=str(home)), world())
    argv = ["shellcheck", "-s", "sh", "-S", "warning", "-"]
    done = subprocess.run(argv, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_disks(sh: list[str], home: Path) -> None:
    of = runner(directory=str(home))
    disks = Disks.parse(run(sh, "disks", of), of)
    assert [m.path for m in disks.mounts[:4]] == ["/", str(home), f"{home}/_work", "/tmp"]
    usage = shutil.disk_usage(home)
    mount = disks.mounts[1]
    assert abs(mount.free - usage.free) < 64 << 20
    assert mount.mounted_on != ""


@pytest.mark.parametrize(("folder", "means"), [("_build", "{home}/_build"), ("{home}/else where", "{home}/else where")])
def test_disks_asks_for_the_work_folder_that_the_runner_names(home: Path, folder: str, means: str) -> None:
    place = Path(means.format(home=home))
    place.mkdir()
    (home / ".runner").write_text('{\n  "agentName": "x",\n  "workFolder": "' + folder.format(home=home) + '"\n}')
    of = runner(directory=str(home))
    assert [m.path for m in Disks.parse(run(["sh"], "disks", of), of).mounts][2] == str(place)


def test_disks_of_a_place_that_is_not_there(home: Path) -> None:
    of = runner(directory=f"{home}/gone")
    with pytest.raises(Unseen, match="No such file"):
        Disks.parse(run(["sh"], "disks", of), of)


def test_disks_reads_a_mount_point_with_a_blank(sh: list[str], home: Path, tmp_path: Path) -> None:
    """In an own mount namespace; an `echo` would turn the escape of /proc/mounts into a blank."""
    of = runner(directory=str(home))
    script = tmp_path / "disks.sh"
    script.write_text(Disks.shell(of, world()))
    inside = f"mount -t tmpfs none '{home}' && mkdir '{home}/_work' && exec {' '.join(sh)} '{script}'"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", inside], capture_output=True, text=True, check=False)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip("no mount namespace here")
    mount = Disks.parse(Output("done", done.returncode, done.stdout), of).mounts[1]
    assert mount.mounted_on == str(home)
    assert mount.writable


def tools(tmp_path: Path, **scripts: str) -> str:
    """A PATH with these commands and coreutils, and no systemd."""
    usual = ("sh", "head", "printf", "awk", "sed", "tr", "stat", "cat", "sort", "tail", "timeout", "bash", "sleep")
    return commands(tmp_path / "bin", *usual, **scripts)


SHOW = "printf 'Result=success\\nLoadState=loaded\\nActiveState=active\\nSubState=running\\nUnitFileState=enabled\\n'"


def test_unit(sh: list[str], home: Path, tmp_path: Path) -> None:
    (home / ".service").write_text("actions.runner.a-b.prod-1.service\nmore")
    journal = "printf 'Listening for Jobs\\nRunner listener exit with retryable error, re-launch runner in 5 seconds.\\nx: Scheduled restart job, restart counter is at 1.\\n'"
    path = tools(tmp_path, systemctl=SHOW, journalctl=journal)
    of = runner(directory=str(home))
    unit = Unit.parse(run(sh, "unit", of, path=path), of)
    assert len(unit.journal) == 3
    assert replace(unit, journal=()) == Unit(
        "actions.runner.a-b.prod-1.service", True, "active", "running", True, "success", 2
    )


@pytest.mark.parametrize(
    ("journal", "says"),
    [
        (
            "echo 'Hint: You are currently not seeing messages from other users and the system.'",
            "its journal is hidden",
        ),
        ("echo '-- No entries --'", ""),
        ("exit 0", ""),
    ],
)
def test_unit_tells_an_empty_journal_from_a_hidden_one(home: Path, tmp_path: Path, journal: str, says: str) -> None:
    (home / ".service").write_text("r.service\n")
    of = runner(directory=str(home))
    out = run(["sh"], "unit", of, path=tools(tmp_path, systemctl=SHOW, journalctl=journal))
    if says:
        with pytest.raises(Unseen, match=says):
            Unit.parse(out, of)
    else:
        assert Unit.parse(out, of).relaunches == 0


def test_unit_where_there_is_none(sh: list[str], home: Path, tmp_path: Path) -> None:
    of = runner(directory=str(home))
    assert not Unit.parse(run(sh, "unit", of), of).loaded
    (home / ".service").write_text("r.service\n")
    with pytest.raises(Unseen, match="there is no systemctl"):
        Unit.parse(run(sh, "unit", of, path=tools(tmp_path)), of)
    with pytest.raises(Unseen, match="cannot be entered"):
        Unit.parse(run(sh, "unit", runner(directory=f"{home}/gone")), of)


def test_a_hostile_service_file_reaches_no_shell(home: Path, tmp_path: Path) -> None:
    (home / ".service").write_text(f"$(touch {tmp_path}/touched); -H evil `id`\n")
    of = runner(directory=str(home))
    out = run(["sh"], "unit", of, path=tools(tmp_path, systemctl=SHOW, journalctl="exit 0"))
    with pytest.raises(Unseen, match="something else than a unit"):
        Unit.parse(out, of)
    assert not (tmp_path / "touched").exists()


def test_time_daemons(sh: list[str]) -> None:
    assert isinstance(TimeDaemons.parse(run(sh, "time_daemons", runner()), runner()).running, tuple)


@pytest.fixture
def server() -> Iterator[Api]:
    with api() as served:
        yield served


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not here")
def test_reaches(sh: list[str], server: Api) -> None:
    server.on("/good", says({}))
    server.on("/it's", says({}, 204))
    server.on("/bad", says({}, 503))
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as closed:
        port, shut = listening.getsockname()[1], closed.getsockname()[1]
        closed.close()
        targets = (
            Target(name="good", url=f"{server.url}/good"),
            Target(name="bad", url=f"{server.url}/bad"),
            Target(name="other", url=f"{server.url}/bad", status=503),
            Target(name="nobody", url="http://nobody.invalid/"),
            Target(name="open", tcp=f"127.0.0.1:{port}"),
            Target(name="shut", tcp=f"127.0.0.1:{shut}"),
            Target(name="hidden", url=f"{server.url}/good?a=$(exit)&b=`x`;c"),
        )
        context = world(targets=targets, limits=Limits(target_timeout=Limits().target_timeout / 2))
        began = time.monotonic()
        found = {t.name: t for t in Reaches.parse(run(sh, "reaches", runner(), context), runner()).at(context).targets}
    assert {name: t.good for name, t in found.items()} == {
        "good": True,
        "bad": False,
        "other": True,
        "nobody": False,
        "open": True,
        "shut": False,
        "hidden": True,
    }
    assert "status 503, not 200" in repr(found["bad"])
    assert "resolve" in repr(found["nobody"])
    assert "refused" in repr(found["shut"])
    assert time.monotonic() - began < 4, "side by side"


def test_reaches_without_curl(tmp_path: Path) -> None:
    with pytest.raises(Unseen, match="it has no curl"):
        Reaches.parse(run(["sh"], "reaches", runner(), path=tools(tmp_path)), runner())
