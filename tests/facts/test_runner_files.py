"""The runner's connections, version, identity and work directory: answers read, and asked here by every shell."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixtures.facts.connections import Connections
from fixtures.facts.hostfacts import HOST_FACTS
from fixtures.facts.identity import Identity
from fixtures.facts.installed import Installed
from fixtures.facts.releases import Releases, version
from fixtures.facts.seen import Unseen
from fixtures.facts.workspace import Workspace
from fixtures.looks_releases import RELEASES, runner_releases
from tests.shells import run
from tests.worlds import answered, healthy, output, recorded, runner, world

ME = pwd.getpwuid(os.getuid()).pw_name
ROOT = "/opt/actions-runner"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A registered runner's root."""
    path = tmp_path / "a runner"
    for folder in ("bin.2.336.0", "externals.2.336.0", "_diag", "_work"):
        (path / folder).mkdir(parents=True)
    for name in ("bin", "externals"):
        (path / name).symlink_to(path / f"{name}.2.336.0")
    (path / ".runner").write_text('\ufeff{\n  "agentId": 6,\n  "workFolder": "_work"\n}')
    (path / ".credentials").write_text("{}")
    (path / ".credentials_rsaparams").write_text("{}")
    (path / ".credentials_rsaparams").chmod(0o600)
    (path / "bin" / "Runner.Listener.deps.json").write_text(
        '{"libraries": {"Runner.Listener/2.336.0": {"type": "project"}, "Runner.Common/1.0.0": {}}}'
    )
    return path


def ask(fact: str, sh: list[str], home: Path, **more: Any) -> Any:
    of = runner(directory=str(home), **{"user": ME, **more})
    return HOST_FACTS[fact].parse(run(sh, fact, of), of)


class TestConnections:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("ports 443 \nheld 1\nend of connections\n", (1, (443,), 1)),
            ("ports 443 8080 \nheld 0\nheld 2\nend of connections\n", (2, (443, 8080), 2)),
            ("ports 443 \n\nend of connections\n", (0, (443,), 0)),
            ("ports \nheld 0\nend of connections\n", (1, (), 0)),
        ],
    )
    def test_read(self, text: str, told: tuple[int, tuple[int, ...], int]) -> None:
        found = Connections.parse(output(text), runner())
        assert (found.listeners, found.ports, found.held) == told

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("", 90),
            ("", 0),
            ("ports 443 \nheld 1\n", 0),
            ("ports 443 \nhidden\nend of connections\n", 0),
            ("ports 443 \nheld\nend of connections\n", 0),
            ("ports x \nheld 1\nend of connections\n", 0),
        ],
    )
    def test_unseen(self, text: str, code: int) -> None:
        with pytest.raises(Unseen, match="the connections of prod-1"):
            Connections.parse(output(text, code), runner())

    @contextmanager
    def listener(self, home: Path, port: int) -> Iterator[None]:
        """A process called as the listener is, which holds one connection to that port."""
        (home / "bin" / "Runner.Listener").symlink_to(os.path.realpath(sys.executable))
        (home / "run").write_text(
            "import socket, sys\ns = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\nprint('on', flush=True)\nsys.stdin.read()\n"
        )
        process = subprocess.Popen(
            [f"{home}/bin/Runner.Listener", "run", str(port)], cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None and process.stdout.readline() == b"on\n"
            yield
        finally:
            process.kill()
            process.communicate()

    @pytest.mark.parametrize(
        "settings",
        [
            '{\n  "serverUrl": "https://pipelinesghubeus13.actions.githubusercontent.com/x/",\n  "serverUrlV2": "http://127.0.0.1:PORT/"\n}',
            '{"AgentId":"1","ServerUrlV2":"http://127.0.0.1:PORT/","UseV2Flow":"True"}',
        ],
    )
    def test_a_connection_is_seen_and_missed(self, sh: list[str], home: Path, settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            (home / ".runner").write_text(settings.replace("PORT", str(port)))
            with self.listener(home, port):
                found = ask("connections", sh, home)
                assert (found.listeners, found.held) == (1, 1)
                assert port in found.ports

    def test_a_connection_elsewhere_is_none(self, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, self.listener(home, server.getsockname()[1]):
            (home / ".runner").write_text('{"serverUrlV2": "https://broker.actions.githubusercontent.com/"}')
            missed = ask("connections", ["sh"], home)
        assert (missed.listeners, missed.held, missed.ports) == (1, 0, (443,))

    def test_a_proxy_counts_and_its_password_stays(self, home: Path) -> None:
        (home / ".runner").write_text('{"serverUrlV2": "https://broker.actions.githubusercontent.com/"}')
        (home / ".env").write_text("LANG=C\nhttps_proxy=http://me:hunter2@proxy.example.com:3128\nno_proxy=x\n")
        of = runner(directory=str(home))
        said = run(["sh"], "connections", of)
        assert Connections.parse(said, of).ports == (443, 3128)
        assert "hunter2" not in said.out + said.err

    def test_where_nobody_listens_nobody_waits(self, sh: list[str], home: Path) -> None:
        began = time.monotonic()
        assert "nobody polls" in repr(ask("connections", sh, home))
        assert time.monotonic() - began < 5


class TestIdentity:
    def test_a_good_one(self, sh: list[str], home: Path) -> None:
        # pytest's own directories are this user's; above them is the system's.
        found = ask("identity", sh, home)
        assert (found.private, found.missing, found.loose) == (True, (), ())
        assert repr(found) == f".credentials_rsaparams is 600 {ME}:{found.key.group}"

    @pytest.mark.parametrize(
        ("path", "mode"),
        [
            (".", 0o757),
            ("bin/", 0o757),
            ("bin.2.336.0/Runner.Listener.deps.json", 0o646),
            (".env", 0o666),
            ("_work", 0o777),
            ("externals/", 0o757),
        ],
    )
    def test_what_all_may_write(self, sh: list[str], home: Path, path: str, mode: int) -> None:
        (home / ".env").write_text("")
        (home / path).chmod(mode)
        assert [e.mode & 0o777 for e in ask("identity", sh, home).loose] == [mode] * (
            2 if path in ("bin/", "externals/") else 1
        )

    def test_a_directory_above_that_all_may_write(self, home: Path) -> None:
        home.parent.chmod(0o777)
        assert [e.path for e in ask("identity", ["sh"], home).loose] == [str(home.parent)]
        home.parent.chmod(0o1777)
        assert not ask("identity", ["sh"], home).loose

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
    def test_owners_and_groups(self, home: Path) -> None:
        os.chown(home / "bin" / "Runner.Listener.deps.json", 65534, -1)
        (home / ".credentials").chmod(0o664)
        assert len(ask("identity", ["sh"], home).loose) == 1, "its own group may write"
        os.chown(home / ".credentials", -1, 65534)
        assert {e.path for e in ask("identity", ["sh"], home).loose} == {
            "bin/Runner.Listener.deps.json",
            "./.credentials",
        }
        os.chown(home / ".credentials_rsaparams", 65534, -1)
        assert not ask("identity", ["sh"], home).private

    def test_links_are_judged_by_what_they_lead_to(self, home: Path) -> None:
        assert not ask("identity", ["sh"], home).loose, "bin and externals are links, of mode 777"

    def test_what_is_missing(self, sh: list[str], home: Path) -> None:
        for name in (".runner", ".credentials_rsaparams"):
            (home / name).unlink()
        found = ask("identity", sh, home)
        assert found.missing == (".runner", ".credentials_rsaparams")
        assert not found.private and "is missing" in repr(found)

    def test_a_bin_that_leads_nowhere_is_not_its_business(self, sh: list[str], home: Path) -> None:
        shutil.rmtree(home / "bin.2.336.0")
        assert not ask("identity", sh, home).loose

    @pytest.mark.parametrize(
        ("text", "code", "what"),
        [
            ("", 90, "cannot be entered"),
            ("", 91, "the host knows no user"),
            ("group runner\nend of identity\n", 0, "half an answer"),
            (
                "group runner\nmissing .runner\nmissing .credentials\nmissing .credentials_rsaparams\nend of identity\n",
                0,
                "hidden from this user",
            ),
            (
                "group runner\nmissing .runner\nmissing .credentials\nmissing .credentials_rsaparams\nhidden ./x: Permission denied\nabove 755 root root /\nend of identity\n",
                0,
                "hidden from this user",
            ),
            (
                "group runner\nmissing .runner\nmissing .credentials\nmissing .credentials_rsaparams\ntree 888 a b c\nabove 755 root root /\nend of identity\n",
                0,
                "hidden from this user",
            ),
        ],
    )
    def test_unseen(self, text: str, code: int, what: str) -> None:
        with pytest.raises(Unseen, match=what):
            Identity.parse(output(text, code), runner())

    def test_a_user_that_the_host_does_not_know(self, sh: list[str], home: Path) -> None:
        with pytest.raises(Unseen, match="the host knows no user"):
            ask("identity", sh, home, user="nobody-of-that-name")


class TestWorkspace:
    def test_a_clean_one(self, sh: list[str], home: Path) -> None:
        found = ask("workspace", sh, home)
        assert found == Workspace(f"{home}/_work", True, (), (), ())
        assert "nothing in it is foreign" in repr(found)

    def test_scripts_and_pages_that_were_left(self, sh: list[str], home: Path) -> None:
        (home / "_work" / "_temp" / "_runner_file_commands").mkdir(parents=True)
        (home / "_diag" / "pages").mkdir()
        old, new = home / "_diag" / "pages" / "old.log", home / "_diag" / "pages" / "new.log"
        for page in (old, new):
            page.write_text("")
        os.utime(old, (time.time() - 7200,) * 2)
        found = ask("workspace", sh, home)
        assert found.temp == (f"{home}/_work/_temp/_runner_file_commands",)
        assert found.pages == ("_diag/pages/old.log",)

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
    def test_foreign_files(self, sh: list[str], home: Path) -> None:
        deep = home / "_work" / "a" / "b" / "c"
        deep.mkdir(parents=True)
        (deep / "left\nidle\nafter").write_text("")
        os.chown(deep / "left\nidle\nafter", 65534, -1)
        found = ask("workspace", sh, home)
        assert found.idle and found.foreign[0].startswith(f"{home}/_work/a/b/c/left")

    def test_many_are_not_all_told(self, sh: list[str], home: Path) -> None:
        (home / "_work" / "_temp").mkdir()
        for number in range(300):
            (home / "_work" / "_temp" / f"{number}.sh").write_text("")
        assert len(ask("workspace", sh, home).temp) == 20

    @pytest.mark.parametrize(
        ("folder", "means"), [("_build", "{home}/_build"), ("{home}/else where", "{home}/else where")]
    )
    def test_the_folder_that_the_runner_names(self, sh: list[str], home: Path, folder: str, means: str) -> None:
        (home / ".runner").write_text('{"AgentId":"1","WorkFolder":"' + folder.format(home=home) + '"}')
        assert ask("workspace", sh, home).folder == means.format(home=home)

    def test_before_the_first_job_there_is_none(self, sh: list[str], home: Path) -> None:
        (home / "_work").rmdir()
        assert ask("workspace", sh, home).foreign == ()

    def test_a_job_that_runs(self, home: Path) -> None:
        (home / "bin" / "Runner.Worker").symlink_to(shutil.which("bash") or "bash")
        (home / "spawnclient").write_text("read -r _\n")
        job = subprocess.Popen([f"{home}/bin/Runner.Worker", "spawnclient"], cwd=home, stdin=subprocess.PIPE)
        try:
            time.sleep(0.2)
            assert not ask("workspace", ["sh"], home).idle
        finally:
            job.kill()
            job.wait()

    @pytest.mark.parametrize(
        ("text", "code", "what"),
        [
            ("", 90, "cannot be entered"),
            ("", 91, "the host knows no user"),
            ("root /r\nwork /r/_work\nbefore\npaths\nafter\n", 0, "half an answer"),
            (
                "root /r\nwork /r/_work\nbefore\npaths\nhidden '/r/_work/x': Permission denied\nafter\nend of workspace\n",
                0,
                "hidden from this user",
            ),
            (
                "root /r\nwork /r/_work\nbefore\npaths\nsh: find: not found\nafter\nend of workspace\n",
                0,
                "hidden from this user",
            ),
        ],
    )
    def test_unseen(self, text: str, code: int, what: str) -> None:
        with pytest.raises(Unseen, match=what):
            Workspace.parse(output(text, code), runner())


class TestInstalled:
    def test_a_good_one(self, sh: list[str], home: Path) -> None:
        found = ask("installed", sh, home)
        assert found == Installed((2, 336, 0), "2.336.0", True, "")
        assert repr(found) == "version 2.336.0"

    def test_before_the_first_update_bin_is_no_link(self, sh: list[str], home: Path) -> None:
        (home / "bin").unlink()
        (home / "bin.2.336.0").rename(home / "bin")
        assert ask("installed", sh, home).named == ""

    @pytest.mark.parametrize("settings", ['{\n "disableUpdate": true\n}', '{"DisableUpdate":"True"}'])
    def test_one_that_does_not_update_itself(self, sh: list[str], home: Path, settings: str) -> None:
        (home / ".runner").write_text(settings)
        assert "does not update itself" in repr(ask("installed", sh, home))

    @pytest.mark.parametrize(
        ("logs", "stuck"),
        [
            ({}, ""),
            ({"SelfUpdate-20260101-000000.log.succeed": 9000}, ""),
            ({"SelfUpdate-20260101-000000.log": 60}, ""),
            ({"SelfUpdate-20260101-000000.log": 3600}, "has been under way for 60 min"),
            ({"SelfUpdate-20260101-000000.log.failed": 9000}, "its last update failed"),
            ({"SelfUpdate-20260101-000000.log.failed": 9000, "SelfUpdate-20260102-000000.log.succeed": 60}, ""),
        ],
    )
    def test_updates(self, sh: list[str], home: Path, logs: dict[str, int], stuck: str) -> None:
        for name, ago in logs.items():
            (home / "_diag" / name).write_text("")
            os.utime(home / "_diag" / name, (time.time() - ago,) * 2)
        assert stuck in ask("installed", sh, home).stuck and bool(stuck) == bool(ask("installed", sh, home).stuck)

    def test_an_update_that_was_never_applied(self, sh: list[str], home: Path) -> None:
        (home / "_work" / "_update").mkdir()
        os.utime(home / "_work" / "_update", (time.time() - 3600,) * 2)
        assert "never applied" in ask("installed", sh, home).stuck

    def test_a_bin_that_leads_nowhere(self, sh: list[str], home: Path) -> None:
        shutil.rmtree(home / "bin.2.336.0")
        assert "bin leads nowhere" in ask("installed", sh, home).stuck

    def test_a_bin_without_its_file(self, sh: list[str], home: Path) -> None:
        (home / "bin" / "Runner.Listener.deps.json").unlink()
        with pytest.raises(Unseen, match=r"has no Runner\.Listener\.deps\.json"):
            ask("installed", sh, home)
        (home / "bin" / "Runner.Listener.deps.json").write_text("{}")
        with pytest.raises(Unseen, match="does not tell it"):
            ask("installed", sh, home)

    @pytest.mark.parametrize("code", [90, 91, 93, 94])
    def test_unseen(self, code: int) -> None:
        with pytest.raises(Unseen, match="the version of prod-1"):
            Installed.parse(output("", code), runner())


def row(tag: str, published: str, **more: Any) -> dict[str, Any]:
    return {"tag_name": tag, "published_at": published, "draft": False, "prerelease": False, **more}


class TestReleases:
    run = healthy()[1]

    def look(self, *rows: Any, status: int = 200, **headers: str) -> Releases:
        return runner_releases(recorded({RELEASES: answered(list(rows), status, **headers)}), world(), self.run)

    def test_what_counts(self) -> None:
        found = self.look(
            row("v2.336.0", "2026-07-20T00:00:00Z"),
            row("v2.337.0", "2026-08-20T00:00:00Z", prerelease=True),
            row("v2.338.0", "2026-08-21T00:00:00Z", draft=True),
            row("nightly", "2026-08-22T00:00:00Z"),
        )
        assert found.published == (((2, 336, 0), datetime(2026, 7, 20, tzinfo=UTC)),)
        assert repr(found) == "the latest release of the runner is 2.336.0"

    def test_a_ghes_without_a_copy_says_so(self) -> None:
        found = self.look(status=404, x_github_enterprise_version="3.15.0")
        assert not found.here and "publishes no releases" in repr(found)

    def test_elsewhere_a_404_proves_nothing(self) -> None:
        with pytest.raises(Unseen, match="answered 404 for actions/runner"):
            self.look(status=404)

    @pytest.mark.parametrize(
        "rows",
        [
            [],
            [row("x", "2026-08-22T00:00:00Z")],
            [{"tag_name": "v1.0.0"}],
            [{"tag_name": 1}],
            ["x"],
            [row("v1.0.0", "soon")],
        ],
    )
    def test_what_makes_no_sense_is_unseen(self, rows: list[Any]) -> None:
        with pytest.raises(Unseen):
            self.look(*rows)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("2.336.0", (2, 336, 0)),
        ("v2.336.0", (2, 336, 0)),
        ("2.336", (2, 336)),
        ("", ()),
        ("v", ()),
        ("2.x.0", ()),
        ("9" * 5000, ()),
        ("2.336.0-rc1", ()),
        ("٣.1.0", ()),
    ],
)
def test_versions(text: str, numbers: tuple[int, ...]) -> None:
    assert version(text) == numbers


def test_the_days_are_counted_from_the_first_that_followed() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    published = tuple(((2, 336 + n, 0), now - timedelta(days=days)) for n, days in enumerate((127, 40, 10)))
    assert [number for number, _ in Releases(True, published).newer((2, 336, 0))] == [(2, 337, 0), (2, 338, 0)]
