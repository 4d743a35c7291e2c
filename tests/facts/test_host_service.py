"""The environment that jobs inherit, the hooks in it, and the commands on the service's PATH."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.facts.context import Context, Runner
from fixtures.facts.hosts import Hosts, JobHooks, Tool
from fixtures.facts.seen import Unseen
from fixtures.facts.serviceenv import Hook, Place, ServiceEnv, mode_lets
from fixtures.facts.tools import Found, Tools
from tests.shells import commands, run
from tests.worlds import output, runner, world

STARTED = "ACTIONS_RUNNER_HOOK_JOB_STARTED"
ME = pwd.getpwuid(os.getuid()).pw_name
OF_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to root")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A runner's root in a place that must be quoted."""
    path = tmp_path / "a runner's"
    path.mkdir()
    return path


def plain(home: Path) -> Runner:
    return replace(runner(supervisor="process", user=ME), directory=str(home))


def seen(sh: list[str], home: Path, env: str = "", path: str = "") -> ServiceEnv:
    (home / ".env").write_text(env)
    of = plain(home)
    return ServiceEnv.parse(run(sh, "service_env", of, path=path), of)


def test_the_grammar_is_the_listeners_own(sh: list[str], home: Path) -> None:
    env = "A=1\n#B=2\nexport C=3\nD=\nE=x=y\n =5\nF='quoted'\r\nno equals\n=nothing\nA=\nG=last without end"
    told = seen(sh, home, env)
    assert told.names == ("E", "F", "G")
    assert told.odd == (2, 3, 6, 7, 8, 9)
    assert "lines 2, 3, 6, 7, 8, 9 of .env do not mean what they look like" in repr(told)


def test_no_value_leaves_the_host(sh: list[str], home: Path) -> None:
    of = plain(home)
    (home / ".env").write_text("DEPLOY_TOKEN=ghp_secret\nX=s3cret value\nhttps_proxy=http://u:s3cret@p:1\n")
    out = run(sh, "service_env", of)
    assert "secret" not in out.out + out.err
    assert "s3cret" not in out.out + out.err
    assert ServiceEnv.parse(out, of).names == ("DEPLOY_TOKEN", "X", "https_proxy")


@pytest.mark.parametrize(
    ("line", "on"),
    [
        ("GITHUB_ACTIONS_RUNNER_HTTPTRACE=true", True),
        ("GITHUB_ACTIONS_RUNNER_HTTPTRACE=FALSE", False),
        ("GITHUB_ACTIONS_RUNNER_HTTPTRACE=", False),
        ("GITHUB_ACTIONS_RUNNER_TRACE=false", True),  # any value at all
        ("NODE_TLS_REJECT_UNAUTHORIZED=0", True),
        ("NODE_TLS_REJECT_UNAUTHORIZED=1", False),
        ("#GIT_SSL_NO_VERIFY=1", False),
        ("GIT_SSL_NO_VERIFY=1", True),
    ],
)
def test_what_turns_a_protection_off(home: Path, line: str, on: bool) -> None:
    assert bool(seen(["sh"], home, line + "\n").on) is on


def test_the_units_variables_count_and_env_overrides_them(sh: list[str], home: Path, tmp_path: Path) -> None:
    (home / ".service").write_text("r.service\n")
    (tmp_path / "more").write_text("# no\n; no\nFROM_FILE='x y'\nGITHUB_ACTIONS_RUNNER_TRACE=\"1\"\n")
    show = (
        f"printf 'EnvironmentFiles=%s (ignore_errors=no)\\n' '{tmp_path}/more' '{tmp_path}/gone'; printf '%s\\n' "
        + '\'Environment=A=1 "B=two words X=3" C="\\"q\\"" GIT_SSL_NO_VERIFY=1 D=4\''
    )
    usual = ("sh", "awk", "sed", "tr", "cat", "id", "dirname", "stat", "readlink", "sha256sum", "cut", "tail")
    told = seen(sh, home, "D=\nGIT_SSL_NO_VERIFY=false\n", path=commands(tmp_path / "bin", *usual, systemctl=show))
    assert told.names == ("A", "B", "C", "FROM_FILE", "GITHUB_ACTIONS_RUNNER_TRACE", "GIT_SSL_NO_VERIFY")
    assert told.on == ("GITHUB_ACTIONS_RUNNER_TRACE",)
    assert told.hidden == (f"{tmp_path}/gone",)


def hooked(sh: list[str], home: Path, path: Path | str) -> ServiceEnv:
    return seen(sh, home, f"{STARTED}={path}\n")


def test_a_hook_that_jobs_can_change(sh: list[str], home: Path) -> None:
    script = home / "hook.sh"
    script.write_text("exit 0\n")
    told = hooked(sh, home, script)
    (fault,) = told.hook_faults(None, ME)
    assert "can be changed by" in fault
    assert re.fullmatch(r"[0-9a-f]{16}", told.hooks[0].digest)


@OF_ROOT
def test_a_hook_of_roots_in_directories_of_roots(sh: list[str], home: Path, tmp_path: Path) -> None:
    for place in (tmp_path, home):
        place.chmod(0o755)
    script = home / "hook.sh"
    script.write_text("exit 0\n")
    told = hooked(sh, home, script)
    # pytest's own directories above are open to root alone: for another user they are all root's.
    assert [p.path for p in told.hooks[0].places][:2] == [str(script), str(home)]
    assert told.hook_faults(None, "nobody") == []
    script.chmod(0o777)
    assert "hook.sh (root:root 777) can be changed by nobody" in hooked(sh, home, script).hook_faults(None, "nobody")[0]
    script.chmod(0o755)
    home.chmod(0o757)
    assert f"{home} (root:root 757) can be changed by nobody" in hooked(sh, home, script).hook_faults(None, "nobody")[0]
    home.chmod(0o1757)
    assert hooked(sh, home, script).hook_faults(None, "nobody") == []


@OF_ROOT
def test_a_link_is_followed_to_where_it_leads(sh: list[str], home: Path, tmp_path: Path) -> None:
    there = tmp_path / "elsewhere"
    there.mkdir()
    (there / "real.sh").write_text("exit 0\n")
    os.chown(there, 12345, 12345)
    (home / "hook.sh").symlink_to(there / "real.sh")
    told = hooked(sh, home, home / "hook.sh")
    assert str(there) in {p.path for p in told.hooks[0].places}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/nowhere/at/all/hook.sh", "does not exist, so every job fails"),
        ("hook.sh", "no absolute path"),
        ('"/opt/hook.sh"', "no absolute path"),
        ("/opt/hook.py", "does not end in .sh or .js or .ps1"),
    ],
)
def test_a_hook_that_cannot_be_run(sh: list[str], home: Path, path: str, says: str) -> None:
    (fault,) = hooked(sh, home, path).hook_faults(None, ME)
    assert says in fault


def test_a_hostile_hook_path_reaches_no_shell(sh: list[str], home: Path, tmp_path: Path) -> None:
    told = hooked(sh, home, f"/$(touch {tmp_path}/touched)`touch {tmp_path}/touched`/x.sh")
    assert told.hook_faults(None, ME)
    assert not (tmp_path / "touched").exists()


SAFE = Hook(
    "started",
    "/opt/h.sh",
    "there",
    (
        Place("/opt/h.sh", "root", "root", 0o755),
        Place("/opt", "root", "root", 0o755),
        Place("/", "root", "root", 0o755),
    ),
    "0" * 16,
)


def env(*hooks: Hook, **changes: object) -> ServiceEnv:
    made = ServiceEnv(("LANG",), (), (), (), hooks, frozenset({"runner"}))
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("declared", "hooks", "says"),
    [
        (None, (SAFE,), []),
        (JobHooks("/opt/h.sh"), (SAFE,), []),
        (JobHooks(), (), []),
        (JobHooks("/opt/h.sh"), (), [f"{STARTED} is not set; /opt/h.sh is declared"]),
        (JobHooks("/opt/other.sh"), (SAFE,), [f"{STARTED} is /opt/h.sh; /opt/other.sh is declared"]),
        (JobHooks(), (SAFE,), [f"{STARTED} is /opt/h.sh; no such hook is declared"]),
    ],
)
def test_hooks_are_those_declared(declared: JobHooks | None, hooks: tuple[Hook, ...], says: list[str]) -> None:
    assert env(*hooks).hook_faults(declared, "runner") == says


@pytest.mark.parametrize(
    "hidden", [replace(SAFE, sight="hidden"), replace(SAFE, places=()), replace(SAFE, places=SAFE.places[:2])]
)
def test_a_hook_that_cannot_be_looked_at_is_unknown(hidden: Hook) -> None:
    with pytest.raises(Unseen, match="the audit user may not look there"):
        env(hidden).hook_faults(None, "runner")


@pytest.mark.parametrize(
    ("mode", "owner", "group", "may"),
    [
        (0o755, "root", "root", False),
        (0o400, "runner", "root", True),
        (0o775, "root", "runner", True),
        (0o775, "root", "staff", False),
        (0o757, "root", "root", True),
    ],
)
def test_who_may_write(mode: int, owner: str, group: str, may: bool) -> None:
    assert mode_lets(mode, owner, group, "runner", frozenset({"runner", "docker"})) is may


def test_an_env_that_cannot_be_read_is_unknown() -> None:
    for fact in (ServiceEnv, Tools):
        with pytest.raises(Unseen, match=r"its \.env cannot be read"):
            fact.parse(output("", 91), runner())
        with pytest.raises(Unseen, match="cannot be entered"):
            fact.parse(output("", 90), runner())
        with pytest.raises(Unseen):
            fact.parse(output("set A\n"), runner())


# Tools


def declaring(*tools: Tool) -> Context:
    return world(hosts=Hosts(tools=tools))


def looked(sh: list[str], home: Path, way: str, *tools: Tool, file: str = ".path") -> Tools:
    (home / file).write_text(f"{'PATH=' if file == '.env' else ''}{way}\n")
    of = replace(runner(), directory=str(home))
    return Tools.parse(run(sh, "tools", of, declaring(*tools)), of)


def test_the_path_is_the_services_own(sh: list[str], home: Path, tmp_path: Path) -> None:
    here, there = (
        commands(tmp_path / "here", deployctl="echo deployctl v1.2.3"),
        commands(tmp_path / "there", deployctl="echo 9.9"),
    )
    told = looked(sh, home, f"{here}:{there}", Tool("deployctl"))
    assert told.found == (Found("deployctl", "there", f"{here}/deployctl", "1.2.3"),)
    assert told.origin == ".path"
    # `PATH=` of .env is later, and counts.
    told = looked(sh, home, there, Tool("deployctl"), file=".env")
    assert (told.origin, told.found[0].version) == (".env", "9.9")


def test_what_is_not_there_and_what_tells_nothing(sh: list[str], home: Path, tmp_path: Path) -> None:
    place = commands(
        tmp_path / "bin", quiet="exit 3", loud="echo 'usage: 1.2.3.4 or so' >&2; exit 1", asks='echo "got $1 $2: 3.1"'
    )
    told = looked(sh, home, place, Tool("quiet"), Tool("loud"), Tool("gone"), Tool("asks", ask="version --client"))
    assert {f.name: (f.sight, f.version) for f in told.found} == {
        "quiet": ("there", ""),
        "loud": ("there", "1.2.3.4"),
        "gone": ("missing", ""),
        "asks": ("there", "3.1"),
    }


def test_a_command_that_hangs_costs_itself_alone(home: Path, tmp_path: Path) -> None:
    sh = ["sh"]
    place = commands(tmp_path / "bin", hangs="exec /bin/sleep 60", well="echo 1.0")
    told = looked(sh, home, place, Tool("hangs", "1.0"), Tool("well", "1.0"))
    assert {f.name: f.version for f in told.found} == {"hangs": "", "well": "1.0"}


@OF_ROOT
def test_what_is_not_roots_is_not_run(sh: list[str], home: Path, tmp_path: Path) -> None:
    place = commands(tmp_path / "bin", trap=f"touch {tmp_path}/run; echo 1.0")
    os.chown(tmp_path / "bin" / "trap", 12345, 12345)
    told = looked(sh, home, place, Tool("trap", "1.0"))
    assert told.found[0].sight == "foreign"
    assert not (tmp_path / "run").exists()
    with pytest.raises(Unseen, match="is not root's, and is not run"):
        told.faults([Tool("trap", "1.0")])
    assert told.faults([Tool("trap")]) == []


def test_names_of_the_context_are_quoted(home: Path, tmp_path: Path) -> None:
    told = looked(["sh"], home, commands(tmp_path / "bin", **{"a.b": "echo 1.0"}), Tool("a.b"), Tool("-x"))
    assert [f.sight for f in told.found] == ["missing", "there"]


def test_without_any_path_nothing_is_known() -> None:
    with pytest.raises(Unseen, match=r"it has no \.path"):
        Tools.parse(output("", 95), runner())
    with pytest.raises(Unseen, match=r"\.path cannot be read"):
        Tools.parse(output("", 94), runner())


def found(version: str = "2.39.5", sight: str = "there") -> Tools:
    return Tools(".path", (Found("git", sight, "/usr/bin/git" if sight != "missing" else "", version),))


@pytest.mark.parametrize(
    ("tools", "least", "says"),
    [
        (found(), None, []),
        (found(), "2.18", []),
        (found("2.18"), "2.18.0", []),
        (found("2.9.5"), "2.18", ["git is 2.9.5 (/usr/bin/git); 2.18 is needed"]),
        (found("", "missing"), None, ["git is not on the service's PATH"]),
        (found(""), None, []),
    ],
)
def test_versions_are_numbers(tools: Tools, least: str | None, says: list[str]) -> None:
    assert tools.faults([Tool("git", least)]) == says


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        (found("", "hidden"), "may not look along the service's PATH"),
        (found(""), "`git --version` told none"),
        (Tools(".path", ()), "git"),
    ],
)
def test_a_command_that_cannot_be_judged_is_unknown(tools: Tools, says: str) -> None:
    with pytest.raises(Unseen, match=re.escape(says)):
        tools.faults([Tool("git", "2.18")])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[:-4],
        lambda t: t.replace("origin", "x"),
        lambda t: t.replace("\tthere", "\tperhaps"),
        lambda t: t.replace("\t", " "),
    ],
)
def test_half_an_answer_of_tools_is_unknown(spoil: Callable[[str], str]) -> None:
    whole = "origin .path\ntool\tgit\tthere\t/usr/bin/git\tgit version 2.39.5\nend\n"
    assert Tools.parse(output(whole), runner()).found[0].version == "2.39.5"
    with pytest.raises(Unseen):
        Tools.parse(output(spoil(whole)), runner())
