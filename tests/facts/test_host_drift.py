"""What a host is item by item, whether two are equal, what rights it gives, what lies about on it, and its container runtime."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fixtures.facts import rights
from fixtures.facts.context import Difference, Hosts, Runner, Ssh, Tool
from fixtures.facts.controls import Controls, sudo_rights
from fixtures.facts.egress import Answered, Egress
from fixtures.facts.equality import Equality, Host, equality
from fixtures.facts.residue import RULES, Residue
from fixtures.facts.runtime import Process, Runtime, Socket
from fixtures.facts.seen import NotApplicable, Unseen
from fixtures.facts.serviceenv import Hook, ServiceEnv
from fixtures.facts.tools import Found, Tools
from tests.shells import commands, run
from tests.worlds import TODAY, output, runner, world

ME = pwd.getpwuid(os.getuid()).pw_name
TOKEN = "ghp_" + "a1B2" * 9


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "a runner's"
    (path / "bin").mkdir(parents=True)
    (path / "_diag").mkdir()
    (path / "_work" / "_temp").mkdir(parents=True)
    (path / "bin" / "Runner.Listener.deps.json").write_text('{"libraries": {"Runner.Listener/2.336.0": {}}}')
    return path


def at(home: Path, **changes: Any) -> Runner:
    return replace(runner(supervisor="process", user=ME, **changes), directory=str(home))


# Controls


def test_this_machine_item_by_item(sh: list[str], home: Path) -> None:
    of = at(home)
    told = Controls.parse(run(sh, "controls", of), of)
    kinds = {kind for kind, _ in told.items}
    assert {"os", "kernel", "architecture", "user", "groups", "mount", "sysctl"} <= kinds
    assert told.items["runner", ""] == "2.336.0"
    assert told.items["kernel", ""] == os.uname().release
    assert "sudo" in told.unasked
    with pytest.raises(Unseen, match="sudo: only root sees it"):
        told.of("sudo")


def test_nothing_is_asked_as_root_where_the_context_does_not_allow_it(
    sh: list[str], home: Path, tmp_path: Path
) -> None:
    """A sudo that tells on itself stands first on the PATH."""
    place = commands(tmp_path / "first", sudo=f"touch {tmp_path}/asked")
    for fact in ("controls", "residue", "runtime"):
        of = replace(at(home), user="nobody")
        run(sh, fact, of, world(hosts=Hosts(runtime="docker")), path=f"{place}:{os.environ['PATH']}")
    assert not (tmp_path / "asked").exists()


SUDO_L = """\
Matching Defaults entries for runner on h1:
    env_reset, mail_badpass,
    secure_path=/usr/sbin\\:/usr/bin

User runner may run the following commands on h1:
    (root) NOPASSWD: /usr/bin/systemctl restart widgets, /usr/bin/systemctl status
        widgets
    (ALL : ALL) ALL
"""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            SUDO_L,
            (
                "(root) NOPASSWD: /usr/bin/systemctl restart widgets, /usr/bin/systemctl status widgets",
                "(ALL : ALL) ALL",
            ),
        ),
        ("User runner is not allowed to run sudo on h1.\n", ()),
        ("", None),
        ("sudo: a password is required\n", None),
    ],
)
def test_what_sudo_lists(said: str, found: tuple[str, ...] | None) -> None:
    assert sudo_rights(said.splitlines()) == found


ITEMS = {
    ("os", ""): "Debian GNU/Linux 12 (bookworm)",
    ("kernel", ""): "6.1.0-28",
    ("runner", ""): "2.336.0",
    ("package", "openssl"): "3.0.15",
    ("groups", "runner"): "runner docker",
    ("key", "audit SHA256:mine"): "ED25519",
    ("sshd", "passwordauthentication"): "no",
    ("limit", "open"): "1024",
}


def controls(
    *changes: tuple[tuple[str, str], str | None], blind: dict[str, str] | None = None, unasked: tuple[str, ...] = ()
) -> Controls:
    items = {key: value for key, value in {**ITEMS, **dict(changes)}.items() if value is not None}
    return Controls(items, blind or {}, unasked)


def env(*names: str, **changes: Any) -> ServiceEnv:
    return replace(ServiceEnv(("LANG", *names), (), (), (), (), frozenset({"runner"})), **changes)


GIT = Found("git", "there", "/usr/bin/git", "2.39.5")
HOOK = Hook("started", "/opt/h.sh", "there", (), "0" * 16)
ANSWER = Answered("https://github.com/", 200, 0, "")


def a_host(name: str, **changes: Any) -> Host:
    made = Host(name, controls(), env(hooks=(HOOK,)), Tools(".path", (GIT,)), Egress("", (), (ANSWER,)))
    return replace(made, **changes)


NEEDS_GIT = Hosts(tools=(Tool("git", "2.18"),))


def compare(first: dict[str, Any], second: dict[str, Any], hosts: Hosts = NEEDS_GIT, today: date = TODAY) -> Equality:
    standby = runner("prod-2", "secondary")
    return equality(a_host("prod-1", **first), a_host("prod-2", **second), standby, world(hosts=hosts), today)


def test_two_that_are_equal() -> None:
    both = compare({}, {})
    assert both.faults == ()
    assert repr(both) == "prod-2 differs from prod-1 in 0 of 12 controls"


@pytest.mark.parametrize(
    ("standby", "what", "row"),
    [
        ({"controls": controls((("package", "openssl"), "3.0.11"))}, "package openssl", "3.0.15 | 3.0.11"),
        ({"controls": controls((("package", "openssl"), None))}, "package openssl", "3.0.15 | absent"),
        ({"controls": controls((("user", "contractor"), "uid 1050"))}, "user contractor", "absent | uid 1050"),
        (
            {"controls": controls((("key", "audit SHA256:other"), "ED25519"))},
            "key audit SHA256:other",
            "absent | ED25519",
        ),
        ({"env": env("TZ", hooks=(HOOK,))}, "variable TZ", "absent | set"),
        ({"controls": controls((("runner", ""), "2.99.1"))}, "runner", "2.336.0 | 2.99.1"),
        ({"tools": Tools(".path", (replace(GIT, version="2.45.1"),))}, "tool git", "2.39.5 | 2.45.1"),
        ({"env": env(hooks=(replace(HOOK, digest="1" * 16),))}, "hook started /opt/h.sh", f"{'0' * 16} | {'1' * 16}"),
        ({"egress": Egress("proxy:3128", (), (ANSWER,))}, "egress https://github.com/", "direct | by proxy:3128"),
    ],
)
def test_each_difference_is_shown_side_by_side(standby: dict[str, Any], what: str, row: str) -> None:
    both = compare({}, standby)
    (fault,) = both.faults
    assert (fault.what, repr(fault)) == (what, f"{what}: {row}")
    table = both.told(both.faults).splitlines()
    assert "prod-1" in table[0] and "prod-2" in table[0]
    assert what in table[1]


@pytest.mark.parametrize(
    "primary",
    [
        {"tools": Tools(".path", (replace(GIT, sight="missing", version=""),))},
        {"tools": Tools(".path", (replace(GIT, version="2.9"),))},
        {"env": env(hooks=(replace(HOOK, sight="missing", digest=""),))},
        {"egress": Egress("", (), (replace(ANSWER, status=0, code=7),))},
        {"controls": controls((("limit", "open"), None))},
        {"controls": controls((("runner", ""), "2.99.1"))},
        {"controls": controls((("runner", ""), None), blind={"runner": "its links lead nowhere"})},
    ],
)
def test_what_the_primary_itself_fails_takes_no_standby_along(primary: dict[str, Any]) -> None:
    assert compare(primary, {}).faults == ()


@pytest.mark.parametrize(
    ("allowed", "holds"),
    [
        (Difference("package openssl", "patched first", "A-1", date(2027, 1, 1)), True),
        (Difference("package", "patched first", "A-1", date(2027, 1, 1)), True),
        (Difference("package openssl", "patched first", "A-1", TODAY), True),
        (Difference("package openssl", "it was once", "A-1", date(2026, 11, 23)), False),
        (Difference("package openssl", "another", "A-1", date(2027, 1, 1), "prod-3"), False),
        (Difference("package openssl", "this one", "A-1", date(2027, 1, 1), "PROD-2"), True),
        (Difference("package git", "another", "A-1", date(2027, 1, 1)), False),
        (Difference("pack", "no kind", "A-1", date(2027, 1, 1)), False),
    ],
)
def test_what_the_context_allows_to_differ(allowed: Difference, holds: bool) -> None:
    both = compare(
        {}, {"controls": controls((("package", "openssl"), "3.0.11"))}, replace(NEEDS_GIT, differences=(allowed,))
    )
    assert (both.faults == ()) is holds
    assert (allowed.reason in repr(both)) is holds


def test_what_one_host_hides_is_unknown_unless_something_differs() -> None:
    hidden = {
        "controls": controls((("package", "openssl"), None), blind={"package": "neither dpkg, rpm nor apk is here"})
    }
    with pytest.raises(Unseen, match="package of prod-2: neither dpkg"):
        _ = compare({}, hidden).faults
    both = compare({"controls": controls((("kernel", ""), "6.12"))}, hidden)
    assert [fault.kind for fault in both.faults] == ["kernel"]


def test_what_only_root_sees_is_no_part_where_it_is_not_asked_for() -> None:
    first = {"controls": controls((("sudo", "(ALL) ALL"), "allowed"))}
    assert [f.kind for f in compare(first, {}).faults] == ["sudo"]
    assert compare(first, {"controls": controls(unasked=("sudo", "keys of root"))}).faults == ()


# Rights

DECLARED = Hosts(groups=("docker",), sudo=(), keys=("SHA256:mine",), sshd=("PasswordAuthentication no",))


def test_rights_as_declared() -> None:
    assert rights.faults(env(), controls(), DECLARED, runner()) == []


@pytest.mark.parametrize(
    ("service", "host", "declared", "says"),
    [
        (env(on=("GIT_SSL_NO_VERIFY",)), controls(), DECLARED, "GIT_SSL_NO_VERIFY is on"),
        (env(), controls(), replace(DECLARED, groups=()), "runner is in group docker"),
        (
            env(),
            controls((("sudo", "(ALL) NOPASSWD: ALL"), "allowed")),
            DECLARED,
            "runner may use sudo: (ALL) NOPASSWD: ALL",
        ),
        (env(), controls(), replace(DECLARED, sudo=("(root) /bin/x",)), "runner may not use sudo: (root) /bin/x"),
        (
            env(),
            controls((("key", "root SHA256:strange"), "RSA")),
            DECLARED,
            "an undeclared key may log in: root SHA256:strange",
        ),
        (
            env(),
            controls((("sshd", "passwordauthentication"), "yes")),
            DECLARED,
            "sshd has passwordauthentication yes; no is declared",
        ),
        (
            env(),
            controls((("sshd", "passwordauthentication"), None)),
            DECLARED,
            "sshd has passwordauthentication unset",
        ),
    ],
)
def test_rights_that_are_looser(service: ServiceEnv, host: Controls, declared: Hosts, says: str) -> None:
    assert says in "; ".join(rights.faults(service, host, declared, runner()))


@pytest.mark.parametrize(
    ("service", "host"),
    [
        (env(hidden=("/etc/runner.env",)), controls()),
        (env(), controls(unasked=("sudo",))),
        (env(), controls(unasked=("keys of root",))),
        (env(), controls(blind={"sudo": "sudo: a password is required"})),
        (env(), controls(blind={"sshd": "no hostkeys"})),
        (env(), controls(blind={"groups": "there is no user runner"})),
    ],
)
def test_rights_that_cannot_be_seen_are_unknown(service: ServiceEnv, host: Controls) -> None:
    with pytest.raises(Unseen, match="the rights on prod-1"):
        rights.faults(service, host, DECLARED, runner())
    # What is loose for certain is said, whatever else is hidden.
    assert rights.faults(replace(service, on=("GIT_SSL_NO_VERIFY",)), host, DECLARED, runner())


def test_what_is_not_declared_is_not_judged() -> None:
    hidden = controls((("groups", "runner"), "runner"), unasked=("sudo", "keys of root"), blind={"sshd": "no"})
    assert rights.faults(env(), hidden, Hosts(), runner()) == []


# Residue


def residue(sh: list[str], home: Path) -> Residue:
    of = at(home)
    return Residue.parse(run(sh, "residue", of), of)


def of_rule(found: Residue, home: Path) -> set[str]:
    return {f"{hit.rule} {hit.place} {hit.line}" for hit in found.hits if "history" not in hit.place}


PLANTED = {
    "github-token": TOKEN,
    "github-pat": "github_pat_" + "A" * 30,
    "aws-key": "AKIA" + "ABCD1234" * 2,
    "private-key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "slack-token": "xoxb-1234567890-abc",
    "url-password": "https://user:hunter22@example.com/",
    "authorization": "AUTHORIZATION: basic eDpnaHBfeHh4eHh4",
}


def test_every_rule_has_its_sample() -> None:
    assert PLANTED.keys() == RULES.keys()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("place", "lines"),
    [
        ("_diag/Worker_20261125-000000-utc.log", 4),
        ("_work/_temp/step.sh", 1),
        ("_work/widgets/widgets/.git/config", 3),
        (".env", 2),
    ],
)
def test_a_planted_secret_is_found_and_stays_there(
    sh: list[str], home: Path, rule: str, place: str, lines: int
) -> None:
    path = home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("A=1\n" * (lines - 1) + f"X={PLANTED[rule]}\n")
    of = at(home)
    out = run(sh, "residue", of)
    assert f"{rule} {place} {lines}" in of_rule(Residue.parse(out, of), home)
    assert PLANTED[rule] not in out.out + out.err


def test_a_clean_host_keeps_nothing(sh: list[str], home: Path) -> None:
    (home / ".env").write_text("LANG=C\nDEPLOY_TOKEN=***\n")
    (home / "_diag" / "Runner_1.log").write_text("[2026] INFO Authorization: *** token ***\nhttps://***:***@x/\n")
    found = residue(sh, home)
    assert of_rule(found, home) == set()
    assert found.blind == ()


def test_what_is_called_a_secret_is_one(sh: list[str], home: Path) -> None:
    (home / ".env").write_text("LANG=C\nDEPLOY_PASSWORD=hunter22\nTOKEN_COUNT=3\n")
    assert of_rule(residue(sh, home), home) == {"named-secret .env 2"}


def test_a_file_name_that_is_hostile(sh: list[str], home: Path, tmp_path: Path) -> None:
    name = f"$(touch {tmp_path.name}) `id` -rf.sh".replace("/", "_")
    (home / "_work" / "_temp" / name).write_text(f"curl -H x:{TOKEN}\n")
    (hit,) = [h for h in residue(sh, home).hits if h.rule == "github-token"]
    assert hit.place.endswith(".sh")


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_said(home: Path) -> None:
    (home / "_diag" / "Runner_1.log").write_text("x")
    (home / "_diag" / "Runner_1.log").chmod(0)
    assert residue(["sh"], home).blind == ("_diag/Runner_1.log",)


@pytest.mark.parametrize("argument", ["--jitconfig ZXhhbXBsZQ==", f"--token={TOKEN}"])
def test_a_secret_in_the_arguments_of_the_runner(sh: list[str], home: Path, argument: str) -> None:
    """Its name is said, and what it was given is not; another's arguments are not looked at."""
    script = "import time; time.sleep(60)"
    started = [
        subprocess.Popen([sys.executable, "-c", script, f"{place}/bin/Runner.Listener", "run", *argument.split()])
        for place in (home, home.parent / "elsewhere")
    ]
    try:
        out = run(sh, "residue", at(home))
        hits = [h for h in Residue.parse(out, at(home)).hits if h.rule in ("runner-argument", "github-token")]
        assert {h.place for h in hits} == {
            f"the arguments of {Path(f'/proc/{started[0].pid}/comm').read_text().strip()}"
        }
        assert [h.rule for h in hits].count("runner-argument") == 1
        assert argument.split()[-1] not in out.out + out.err
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_key_that_everybody_may_read(sh: list[str], tmp_path: Path, home: Path) -> None:
    """The home is what /etc/passwd says, so the section is asked about one of its own."""
    place = tmp_path / "home"
    (place / ".ssh").mkdir(parents=True)
    for path in (place, place / ".ssh"):
        path.chmod(0o755)
    for name, mode in (("id_ed25519", 0o644), ("id_rsa", 0o600), ("id_rsa.pub", 0o644)):
        (place / ".ssh" / name).write_text("x")
        (place / ".ssh" / name).chmod(mode)
    (place / ".netrc").write_text("x")
    (place / ".netrc").chmod(0o604)
    of = at(home)
    section = Residue.shell(of, world()).replace("/etc/passwd", str(tmp_path / "passwd"))
    (tmp_path / "passwd").write_text(f"{ME}:x:0:0::{place}:/bin/sh\n")

    def readable() -> set[str]:
        done = subprocess.run([*sh, "-c", section], capture_output=True, text=True, timeout=30, check=False)
        found = Residue.parse(output(done.stdout), of).hits
        return {str(Path(h.place).relative_to(place)) for h in found if h.rule == "world-readable"}

    assert readable() == {".ssh/id_ed25519", ".netrc"}
    (place / ".ssh").chmod(0o700)
    assert readable() == {".netrc"}
    place.chmod(0o700)
    assert readable() == set()


@pytest.mark.parametrize("text", ["", "hit x\nend\n", "hit github-token many .env\nend\n", "hit github-token 1 .env\n"])
def test_half_a_residue_is_unknown(text: str) -> None:
    with pytest.raises(Unseen):
        Residue.parse(output(text), runner())


# The container runtime

SOCKET = Socket("/var/run/docker.sock", 0, 998, 0o660)
LISTENER = Process(1001, frozenset({1001, 998}))
DOCKER = Runtime("docker", "1.47", "", "1.47", LISTENER, SOCKET, False)


def test_a_runtime_that_answers() -> None:
    assert DOCKER.fault("runner") == ""
    assert replace(DOCKER, kind="podman", answer="crun", socket=None).fault("runner") == ""
    with pytest.raises(NotApplicable):
        Runtime("", "", "", "", None, None, False).fault("runner")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"process": Process(1001, frozenset({1001}))}, "its groups are 1001, and the socket is for group 998"),
        ({"socket": replace(SOCKET, mode=0o600)}, "may not use /var/run/docker.sock"),
        ({"answer": "", "why": "no answer in 5 s: it hangs"}, "it hangs"),
        ({"answer": "1.24"}, "docker's API is 1.24; the runner needs 1.35"),
        ({"answer": "crun"}, "docker's API is crun"),
        ({"nested": True}, "lives in a docker container itself"),
    ],
)
def test_a_runtime_that_jobs_cannot_use(change: dict[str, Any], says: str) -> None:
    assert says in replace(DOCKER, **change).fault("runner")


@pytest.mark.parametrize("why", ["unasked", "refused"])
def test_a_runtime_that_may_not_be_asked_is_unknown(why: str) -> None:
    with pytest.raises(Unseen, match="whether docker answers runner"):
        replace(DOCKER, answer="", why=why, told="sudo: a password is required").fault("runner")


WITH_DOCKER = world(hosts=Hosts(runtime="docker"), ssh=Ssh(sudo=True))


@pytest.mark.parametrize(
    ("docker", "why"),
    [
        ("echo 1.47", ""),
        (
            "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1",
            "exit 1",
        ),
        ("exec /bin/sleep 60", "no answer in 5 s: it hangs"),
        (None, "there is no such command"),
        ("echo 'WARNING: bad config' >&2; echo 1.47; exit 3", "exit 3"),
    ],
)
def test_how_docker_answers_the_services_user(
    sh: list[str], home: Path, tmp_path: Path, docker: str | None, why: str
) -> None:
    """The section names /usr/bin/docker, which is how sudoers must name it; here that place stands elsewhere."""
    place = tmp_path / "docker"
    if docker:
        place.write_text(f"#!/bin/sh\n{docker}\n")
        place.chmod(0o755)
    of = at(home)
    asked = Runtime.shell(of, WITH_DOCKER).replace("/usr/bin/docker", str(place))

    done = subprocess.run(
        [*sh, "-c", asked], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False
    )
    told = Runtime.parse(output(done.stdout), of)
    assert told.why == why
    assert (told.answer == "1.47") is (why == "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "runtime docker\n",
        "runtime docker\nsaid 1.47\nend\n",
        "runtime docker\ncode x\nsaid 1.47\nend\n",
        "code 0\nsaid 1.47\nend\n",
    ],
)
def test_half_a_runtime_is_unknown(text: str) -> None:
    with pytest.raises(Unseen):
        Runtime.parse(output(text), runner())


def test_an_answer_that_is_no_version_is_none() -> None:
    told = Runtime.parse(
        output(
            "runtime docker\nuid 1001\ngid 1001\ngids 1001 998\nsocket 0 998 660 /run/docker.sock\ncode 0\nsaid <no value> at all\nend\n"
        ),
        runner(),
    )
    assert told.answer == ""
    assert re.search("docker does not answer", told.fault("runner"))
    assert told.process == Process(1001, frozenset({1001, 998}))
