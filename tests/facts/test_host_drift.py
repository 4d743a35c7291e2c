"""What a host is item by item, whether two are equal, and what rights it gives."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fixtures.facts import rights
from fixtures.facts.controls import Controls, sudo_rights
from fixtures.facts.egress import Answered, Egress
from fixtures.facts.equality import Equality, Host, equality
from fixtures.facts.hosts import Difference, Hosts, Tool
from fixtures.facts.seen import Unseen
from fixtures.facts.serviceenv import Hook, ServiceEnv
from fixtures.facts.tools import Found, Tools
from tests.facts.own import at
from tests.shells import commands, run
from tests.worlds import TODAY, runner, world

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


def test_a_host_whose_users_cannot_be_read_has_not_none(sh: list[str], home: Path, tmp_path: Path) -> None:
    failing = commands(tmp_path / "bin", awk="exit 2")
    of = at(home)
    told = Controls.parse(run(sh, "controls", of, path=f"{failing}{os.pathsep}{os.environ['PATH']}"), of)
    for kind in ("user", "group"):
        with pytest.raises(Unseen, match=f"{kind}: /etc/passwd or /etc/group cannot be read"):
            told.of(kind)


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
