"""What one question to a host tells: recorded, run here, half, empty and spoilt; a fact, Unseen or NotApplicable."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from typing import Any

import pytest

from fixtures.facts.context import Runner, Target
from fixtures.facts.host import Disks, Reaches, TimeDaemons
from fixtures.facts.hostfacts import HOST_FACTS
from fixtures.facts.limits import Limits, Size
from fixtures.facts.seen import HostSeen, NotApplicable, Output, Unseen
from fixtures.facts.unit import Unit
from tests.worlds import HEALTHY, healthy, output, runner, world

RECORDED: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8"))["sections"] for path in sorted((HEALTHY / "hosts").glob("*.json"))
}
CONTEXT = healthy()[0]
CASES = [(fact, r) for fact in sorted(HOST_FACTS) for r in CONTEXT.runners]


def said(fact: str, of: Runner) -> Output:
    return Output(**RECORDED[of.name][fact])


def parsed(fact: str, out: Output, of: Runner) -> str:
    """The fact as a sentence, or why there is none."""
    try:
        return repr(HOST_FACTS[fact].parse(out, of))
    except Unseen as unseen:
        return unseen.what if unseen.try_ else ""  # an Unseen says what to do
    except NotApplicable as why:
        return why.reason


@pytest.mark.parametrize(("fact", "of"), CASES, ids=str)
def test_what_a_healthy_host_said(fact: str, of: Runner) -> None:
    told = repr(HOST_FACTS[fact].parse(said(fact, of), of))
    assert len(told) > 5
    assert not re.search(r"\w+\(\w+=|<.* at 0x", told), "a sentence, no dump"


@pytest.mark.parametrize(("fact", "of"), CASES, ids=str)
def test_nothing_said_is_nothing_known(fact: str, of: Runner) -> None:
    for out in (
        output(""),
        output("\n"),
        output("", 1),
        output("", 127),
        output("garbage\nand more"),
        output("\0\ufffd"),
    ):
        if fact == "reaches":
            with pytest.raises(Unseen):
                Reaches.parse(out, of).at(CONTEXT)
        else:
            with pytest.raises(Unseen):
                HOST_FACTS[fact].parse(out, of)


NOISE = (
    "",
    " ",
    "\n",
    "-",
    "0",
    "9" * 5000,
    "²",
    "٣",
    "\0",
    "\\040",
    "=",
    "/",
    "x" * 300,
    "-1",
    "1e9",
    "\u2028",
    "listener 1 ",
    "path ",
)


@pytest.mark.parametrize(("fact", "of"), CASES, ids=str)
def test_whatever_a_host_says(fact: str, of: Runner) -> None:
    """Seeded: lines lost, doubled, cut, letters replaced, words swapped for noise."""
    dice = random.Random(f"{fact} {of}")
    text = said(fact, of).out
    for _ in range(400):
        spoilt = text
        for _ in range(dice.randint(1, 3)):
            lines = spoilt.split("\n")
            at = dice.randrange(len(lines))
            words = lines[at].split(" ")
            word = dice.randrange(len(words))
            way = dice.randrange(6)
            if way == 0:
                del lines[at]
            elif way == 1:
                lines.insert(dice.randrange(len(lines) + 1), lines[at])
            elif way == 2:
                words[word] = dice.choice(NOISE)
                lines[at] = " ".join(words)
            elif way == 3:
                del words[word]
                lines[at] = " ".join(words)
            elif way == 4:
                lines = lines[:at]
            elif lines[at]:
                letter = dice.randrange(len(lines[at]))
                lines[at] = lines[at][:letter] + dice.choice("0-/ =%\t") + lines[at][letter + 1 :]
            spoilt = "\n".join(lines) or "x"
        assert parsed(fact, output(spoilt, dice.choice((0, 0, 1, 90, 91, 92, 93))), of)


@pytest.mark.parametrize("state", ["timeout", "capped", "lost"])
def test_an_answer_that_was_not_finished_is_no_answer(state: Any) -> None:
    host = HostSeen("prod-1", "answered", sections={"disks": output("x", 0, state)})
    with pytest.raises(Unseen, match="disks on prod-1"):
        host.section("disks")
    with pytest.raises(Unseen, match="the host was not asked"):
        host.section("unit")
    with pytest.raises(Unseen, match="disks on prod-1: it is away"):
        replace(host, reach="no-answer", sentence="it is away").section("disks")


DIRECTORY = "/opt/actions-runner"


def df(
    bytes_line: str = "/dev/sda1 100 40 60 40% /",
    inodes: str = "/dev/sda1 1000 100 900 10% /",
    at: str = "/",
    mode: str = "rw",
) -> Disks:
    """What `Disks` makes of one place that holds all."""
    blocks = "".join(f"path {p}\nbytes {bytes_line}\ninodes {inodes}\n" for p in ("/", DIRECTORY))
    return Disks.parse(output(f"{blocks}mount {at} {mode}\n"), runner())


def test_room_is_what_a_job_may_use() -> None:
    """Used and available: what is kept for root is no room."""
    (mount, _) = df("/dev/sda1 1000 600 200 75% /").mounts
    assert (mount.size, mount.free, mount.free_percent) == (Size(800 * 1024), Size(200 * 1024), 25)
    assert repr(mount) == "/ has 200 KiB (25 %) and 90 % of inodes free, writable"


@pytest.mark.parametrize(
    ("bytes_line", "inodes", "at"),
    [
        (
            "nas.example.com:/a/very/long/export/with/many/parts 100 40 60 40% /mnt",
            "nas.example.com:/a/very/long/export/with/many/parts 9 1 8 12% /mnt",
            "/mnt",
        ),
        ("//nas/share of ours 100 40 60 40% /mnt", "//nas/share of ours 9 1 8 12% /mnt", "/mnt"),
        ("/dev/sdb1 100 40 60 40% /mnt/with blank", "/dev/sdb1 9 1 8 12% /mnt/with blank", r"/mnt/with\040blank"),
        ("overlay        100      40        60  40% /", "overlay  9  1   8   12% /", "/"),
        ("tmpfs 100 0 100 - /run", "tmpfs 9 1 8 - /run", "/run"),
        ("/dev/sda1 0 0 0 - /", "/dev/sda1 9 1 8 - /", "/"),
        (r"/dev/sdb1 1 0 1 0% /mnt/back\slash", "/dev/sdb1 9 1 8 12% /mnt/back\\slash", r"/mnt/back\134slash"),
    ],
)
def test_places_with_odd_names(bytes_line: str, inodes: str, at: str) -> None:
    assert df(bytes_line, inodes, at).mounts[0].writable


@pytest.mark.parametrize("inodes", ["/dev/sda1 - - - - /", "/dev/sda1 0 0 0 - /", "/dev/sda1 0 0 0 0% /"])
def test_where_inodes_are_not_counted_there_is_room_for_them(inodes: str) -> None:
    """busybox and btrfs."""
    assert df(inodes=inodes).mounts[0].inodes_free_percent == 100


def test_a_full_disk_has_no_room() -> None:
    mount = df("/dev/sda1 0 0 0 - /", "/dev/sda1 1000 1000 0 100% /").mounts[0]
    assert (mount.free_percent, mount.inodes_free_percent) == (0, 0)


def test_read_only_is_said() -> None:
    assert "READ-ONLY" in repr(df(mode="ro"))
    assert not df(mode="ro").mounts[0].writable
    assert not df(mode="ro,relatime").mounts[0].writable


def test_the_last_mount_on_a_place_counts() -> None:
    text = (
        f"path /\nbytes a 1 0 1 0% /\ninodes a 1 0 1 0% /\npath {DIRECTORY}\nbytes a 1 0 1 0% /\ninodes a 1 0 1 0% /\n"
    )
    assert not Disks.parse(output(f"{text}mount / rw\nmount / ro\n"), runner()).mounts[0].writable
    assert Disks.parse(output(f"{text}mount / ro\nmount / rw\n"), runner()).mounts[0].writable


@pytest.mark.parametrize(
    "bytes_line",
    [
        "",
        "df: /opt: Permission denied",
        "/dev/sda1 -1 0 1 0% /",
        "/dev/sda1 1 0 1 0% /elsewhere",
        f"/dev/sda1 {'9' * 5000} 0 1 0% /",
        "Filesystem 1024-blocks Used Available Capacity Mounted on",
    ],
)
def test_a_disk_that_is_not_told_is_unseen(bytes_line: str) -> None:
    with pytest.raises(Unseen, match="the disk under / on prod-1") as why:
        df(bytes_line)
    assert why.value.try_ == "ssh prod-1 df -Pk /"


def test_each_place_must_be_told() -> None:
    with pytest.raises(Unseen, match=f"df did not answer for / and {DIRECTORY}"):
        Disks.parse(output("path /\nbytes a 1 0 1 0% /\ninodes a 1 0 1 0% /\nmount / rw\n"), runner())


UNIT = "unit actions.runner.a-b.prod-1.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nResult=success\nrunsvc=526 755\nrelaunches 0\n"


def unit(old: str = "", new: str = "", code: int = 0) -> Unit:
    assert old in UNIT
    return Unit.parse(output(UNIT.replace(old, new) if old else UNIT, code), runner())


def test_a_unit_that_runs() -> None:
    assert (
        repr(unit())
        == "actions.runner.a-b.prod-1.service is active (running), enabled at boot, relaunched 0 times in the last hour"
    )


@pytest.mark.parametrize(
    ("old", "new", "field", "value"),
    [
        ("LoadState=loaded", "LoadState=not-found", "loaded", False),
        ("LoadState=loaded\n", "", "loaded", False),
        ("ActiveState=active", "ActiveState=failed", "active_state", "failed"),
        ("UnitFileState=enabled", "UnitFileState=disabled", "enabled", False),
        ("UnitFileState=enabled", "UnitFileState=", "enabled", False),
        ("UnitFileState=enabled", "UnitFileState=masked", "enabled", False),
        ("UnitFileState=enabled", "UnitFileState=enabled-runtime", "enabled", True),
        ("Result=success", "Result=exit-code", "result", "exit-code"),
        ("relaunches 0", "relaunches 17", "relaunches", 17),
        ("runsvc=526 755", "runsvc=none", "start", ""),
        ("runsvc=526 755", "runsvc=526 700", "start", ""),
        ("runsvc=526 755", "runsvc=0 755", "start", "runsvc.sh is empty, so it will not start again"),
        ("runsvc=526 755", "runsvc=526 644", "start", "runsvc.sh cannot be executed, so it will not start again"),
        ("runsvc=526 755", "runsvc=526 755\nelsewhere=/opt/a=b", "elsewhere", "/opt/a=b"),
        ("relaunches 0", "relaunches 0\nlog Runner listener exited with error code null", "ended", "null"),
        ("relaunches 0", "relaunches 0\nlog x=y\nlog relaunches 9", "relaunches", 0),
    ],
)
def test_what_is_wrong_with_a_unit(old: str, new: str, field: str, value: Any) -> None:
    assert getattr(unit(old, new), field) == value


def test_a_unit_that_was_never_made() -> None:
    missing = Unit.parse(output("missing .service\n"), runner())
    assert not missing.loaded
    assert "(.service is missing)" in repr(missing)


ICU = "Process terminated. Couldn't find a valid ICU package installed on the system."
LOOP = "Runner listener exit with undefined return code, re-launch runner in 5 seconds."
GONE = "Failed to create a session. The runner registration has been deleted from the server, please re-configure."


@pytest.mark.parametrize(
    ("journal", "says"),
    [
        ([ICU, "Runner listener exited with error code null", LOOP, ICU, LOOP], "libicu is missing"),
        (
            [
                GONE,
                "Runner listener exited with error code 1",
                "Runner listener exit with terminated error, stop the service, no retry needed.",
            ],
            "look at clock-true first",
        ),
        (
            [
                "Runner listener exited with error code 1",
                "Runner listener exit with terminated error, stop the service, no retry needed.",
            ],
            "the listener ended with 1",
        ),
        (
            ["A session for this runner already exists.", "2026-08-20 10:00:00Z: Listening for Jobs", LOOP],
            "it is relaunched for ever",
        ),
        (["A session for this runner already exists.", "2026-08-20 10:00:00Z: Listening for Jobs"], ""),
        (["Starting Runner listener with startup type: service", "=", ""], ""),
    ],
)
def test_why_a_unit_died_stands_in_its_journal(journal: list[str], says: str) -> None:
    dead = unit("relaunches 0\n", "relaunches 5\n" + "".join(f"log {line}\n" for line in journal))
    assert says in dead.why and bool(says) == bool(dead.why)
    assert dead.why in repr(dead)
    assert dead.why not in repr(replace(dead, relaunches=0)) or not dead.why, "what runs needs no reason"


def test_a_plain_process_has_no_unit() -> None:
    with pytest.raises(NotApplicable, match="prod-1 runs as a plain process"):
        Unit.parse(output(UNIT), runner(supervisor="process"))


@pytest.mark.parametrize(
    ("old", "new", "code", "what"),
    [
        ("", "", 90, "cannot be entered"),
        ("", "", 91, ".service cannot be read"),
        ("", "", 92, "there is no systemctl"),
        ("", "", 96, "systemctl did not answer"),
        ("relaunches 0", "journal blind", 0, "its journal is hidden from this user"),
        ("relaunches 0\n", "", 0, "journalctl gave no answer"),
        ("runsvc=526 755\n", "", 0, "stat gave no answer for runsvc.sh"),
        ("runsvc=526 755", "runsvc=", 0, "stat gave no answer for runsvc.sh"),
        ("relaunches 0", "relaunches many", 0, "journalctl gave no answer"),
        ("relaunches 0", f"relaunches {'9' * 5000}", 0, "journalctl gave no answer"),
        ("ActiveState=active\n", "", 0, "something else than a unit"),
        ("unit actions.runner.a-b.prod-1.service", "unit x; rm -rf /", 0, "something else than a unit"),
        ("unit actions.runner.a-b.prod-1.service", "unit -H evil.service", 0, "something else than a unit"),
        ("unit actions.runner.a-b.prod-1.service", "unit ", 0, "something else than a unit"),
    ],
)
def test_a_unit_that_cannot_be_seen(old: str, new: str, code: int, what: str) -> None:
    with pytest.raises(Unseen, match=re.escape(what)):
        unit(old, new, code)


def test_time_daemons() -> None:
    assert TimeDaemons.parse(output("comm ps\ncomm systemd-timesyn\ncomm chronyd\ninit 1\n"), runner()).running == (
        "chronyd",
        "systemd-timesyn",
    )
    assert repr(TimeDaemons.parse(output("comm sh\ninit 1\n"), runner())) == "no time daemon runs"
    with pytest.raises(Unseen, match="or broke off"):
        TimeDaemons.parse(output("comm chronyd\n"), runner())


SHOP, DATABASE = Target(name="shop", url="https://shop/health"), Target(name="db", tcp="db:5432")


def reached(*rows: str, code: int = 0) -> Reaches:
    targets = world(targets=(SHOP, DATABASE)[: len(rows)])
    return Reaches.parse(output("".join(f"target {row}\n" for row in rows), code), runner()).at(targets)


@pytest.mark.parametrize(
    ("row", "good", "told"),
    [
        ("shop 200  answer 0.01 200 ", True, "shop answers at https://shop/health"),
        ("shop 200  answer 0.01 503 ", False, "status 503, not 200"),
        (
            "shop 200 curl: (6) Could not resolve host: shop  answer 0.000000 000 ",
            False,
            "curl: (6) Could not resolve host: shop",
        ),
        (
            "shop 200  answer 0.01 000 curl: (60) SSL certificate problem: expired",
            False,
            "certificate problem: expired",
        ),
        ("shop 200  answer 0.0 000 ", False, "no connection"),
    ],
)
def test_how_a_target_answers(row: str, good: bool, told: str) -> None:
    (target,) = reached(row).targets
    assert target.good is good
    assert told in repr(target)


def test_a_port_that_answers_is_enough() -> None:
    assert reached("shop 200  answer 1.0 200 ", "db 0  answer 1.0 000 ").targets[1].good
    refused = reached("shop 200  answer 1.0 200 ", "db 0 bash: connect: Connection refused  answer 0.0 000 ").targets[1]
    assert repr(refused) == "db does not answer at db:5432: bash: connect: Connection refused"


def test_half_an_answer_is_unseen() -> None:
    with pytest.raises(Unseen, match="whether db is reached: the host gave half an answer"):
        Reaches.parse(output("target shop 200  answer 0.01 200 \n"), runner()).at(world(targets=(SHOP, DATABASE)))
    with pytest.raises(Unseen, match="its question said"):
        reached("shop 200 sh: curl: not found")
    with pytest.raises(Unseen, match="it has no curl") as why:
        reached("shop 200  answer 0.01 200 ", code=90)
    assert "install -y curl" in why.value.try_
    with pytest.raises(Unseen):
        reached(f"shop {'9' * 5000}  answer 0.01 200 ")


def test_a_target_may_take_its_time_and_no_more() -> None:
    asked = Reaches.shell(runner(), world(limits=Limits(target_timeout=Limits().target_timeout / 2)))
    assert " -m 2 " in asked
