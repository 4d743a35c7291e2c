"""The lab's runner agent behaves as the reference says the real one does: masking, `.env`, exit codes, relaunching.

The pure parts as values; the rest as real processes against a real stand-in.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import tree
from lab.agent import process, service
from lab.agent.expressions import condition
from lab.agent.filecommands import BadCommand, pairs
from lab.agent.listener import load_env
from lab.agent.masker import ENCODERS, Masker
from lab.agent.process import Cancelled, run_script
from lab.agent.told import Told
from tests.lab.agents import NAME, Agent, eventually


def masked(secret: str, text: str) -> str:
    masker = Masker()
    masker.add_secret(secret)
    return masker.mask(text)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class TestMasker:
    """The matrix of runner-host.md 5.4."""

    @pytest.mark.parametrize("secret", ["Abc4567890", "Abc45678901", "Abc456789012"])
    def test_what_is_masked(self, secret: str) -> None:
        for shown in (secret, f'"{secret}"', f"x{secret}y", b64(secret)):
            assert secret not in masked(secret, shown)
            assert b64(secret) not in masked(secret, shown)
            assert "***" in masked(secret, shown)

    @pytest.mark.parametrize("secret", ["Abc4567890", "Abc45678901", "Abc456789012"])
    def test_base64_with_a_newline_is_masked_only_for_some_lengths(self, secret: str) -> None:
        shown = b64(secret + "\n")
        assert (masked(secret, shown) != shown) is (len(secret) % 3 == 0)

    @pytest.mark.parametrize(
        "way",
        [
            str.upper,
            lambda s: s[::-1],
            lambda s: s[:8],
            lambda s: b64(b64(s)),
            lambda s: s.encode().hex(),
            lambda s: " ".join(s),
        ],
    )
    def test_what_is_not(self, way: Callable[[str], str]) -> None:
        secret = "Abc456789012def"
        assert masked(secret, way(secret)) == way(secret)

    @pytest.mark.parametrize(
        ("secret", "shown"),
        [
            ('pa"ss', 'pa\\"ss'),
            ("it's", "it''s"),
            ("a b/c", "a%20b%2Fc"),
            ("a<b>&'c'", "a&lt;b&gt;&amp;&apos;c&apos;"),
            ('"quoted-text"', "quoted-text"),
            ("prefix1&suffix1", "suffix1"),
            ("prefix1&suffix1", "prefix1&"),
        ],
    )
    def test_the_other_forms(self, secret: str, shown: str) -> None:
        assert masked(secret, shown) == "***"

    def test_hits_that_touch_become_one(self) -> None:
        assert masked("ab", "ababx ab") == "***x ***"

    def test_one_letter_masks_every_one(self) -> None:
        assert masked("a", "cat") == "c***t"

    def test_lines_of_a_secret_are_masked_one_by_one(self) -> None:
        assert masked("first line\n  second line\n", "x second line y") == "x *** y"

    def test_nothing_registered_masks_nothing(self) -> None:
        assert Masker().mask("text") == "text"
        assert masked("", "text") == "text"


@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        ("success()", (True, False, False)),
        ("", (True, False, False)),
        ("always()", (True, True, True)),
        ("failure()", (False, True, False)),
        ("cancelled()", (False, False, True)),
        ("failure() || cancelled()", (False, True, True)),
        ("${{ !cancelled() }}", (True, True, False)),
        ("!cancelled() && failure()", (False, True, False)),
        ("github.actor == 'x'", (False, False, False)),
    ],
)
def test_which_steps_run(asked: str, runs: tuple[bool, bool, bool]) -> None:
    """In a job that goes well, that failed, that was cancelled."""
    said = tuple(condition(asked or "success()", {"job status": s}) for s in ("success", "failure", "cancelled"))
    assert said == runs


def test_what_a_step_writes_to_its_files() -> None:
    assert pairs("A=1\nB<<END\none\ntwo=2\nEND\nC=x=y\n\n") == {"A": "1", "B": "one\ntwo=2", "C": "x=y"}
    for wrong, says in (("D\n", "Invalid format 'D'"), ("B<<END\none\n", "Matching delimiter not found 'END'")):
        with pytest.raises(BadCommand, match=says):
            pairs(wrong)


def test_env_as_the_listener_reads_it() -> None:
    said = load_env("A=1\n#B=2\nC = 3\nexport D=4\nE='x'\nF=\n=7\nG\n")
    assert said == {"A": "1", "#B": "2", "C ": " 3", "export D": "4", "E": "'x'", "F": ""}


@pytest.mark.parametrize(
    ("code", "again", "says"),
    [
        (0, False, "0 return code, stop"),
        (1, False, "terminated error, stop"),
        (2, True, "retryable error, re-launch runner in 5 seconds"),
        (3, True, "because of updating, re-launch runner in 5 seconds"),
        (5, False, "Session Conflict error, stop"),
        (7, True, "undefined return code, re-launch runner in 5 seconds"),
        (None, True, "undefined return code"),
        (-2, True, "undefined return code"),
    ],
)
def test_what_an_exit_code_means_to_the_service(code: int | None, again: bool, says: str) -> None:
    told = service.Rules().after(code)
    assert told[0] is again
    assert says in told[1]


def test_ten_retryable_ends_stop_the_service_and_listening_forgets_them() -> None:
    rules = service.Rules()
    assert [rules.after(2)[0] for _ in range(9)] == [True] * 9
    rules.listening()
    assert [rules.after(2)[0] for _ in range(10)] == [True] * 9 + [False]
    assert all(rules.after(None)[0] for _ in range(50)), "what is undefined is relaunched for ever"
    assert [
        service.Rules(most_undefined=2).after(7)[0],
        *[rules.after(9)[0] for rules in [service.Rules(2, 0, 1)]],
    ] == [True, False]


def test_a_cancelled_script_is_ended_with_all_its_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE", ((signal.SIGINT, 0.1), (signal.SIGTERM, 0.1)))
    stop, lines = Cancelled(), list[str]()

    def heard(line: str) -> None:
        lines.append(line)
        stop.set()

    code = run_script(
        "echo on; trap '' INT TERM; sleep 300", tmp_path, tmp_path, dict(os.environ), heard, stop, time.monotonic() + 60
    )
    assert code > 128 and lines == ["on"]


def test_a_job_is_taken_run_and_told(agent: Agent) -> None:
    agent.start()
    job = agent.job(
        "echo hello; echo top-secret", 'test -d "$RUNNER_TEMP"; pwd; false', "echo never", secrets={"S": "top-secret"}
    )
    done = agent.until(job, "done")
    assert (done["conclusion"], [s["conclusion"] for s in done["steps"]]) == (
        "failure",
        ["success", "success", "failure", "skipped", "success"],
    )
    said = "\n".join(done["log"])
    assert "hello" in said and "***" in said and "top-secret" not in said
    assert f"{agent.directory}/_work/widgets/widgets" in said
    assert not list((agent.directory / "_work" / "_temp").iterdir()), "it cleans up"
    eventually(lambda: "completed with result: Failed" in agent.log())
    assert "Running job: test" in agent.log() and "Successfully renew job" in agent.log()
    assert "top-secret" not in agent.log("Worker")


def test_a_cancelled_job_says_so(agent: Agent) -> None:
    agent.start()
    job = agent.job("echo on; exec sleep 300")
    eventually(lambda: "on" in "".join(agent.github.order("GET", f"jobs/{job}")["log"]))
    agent.github.order("DELETE", f"jobs/{job}")
    assert agent.until(job, "done")["conclusion"] == "cancelled"


def test_a_listener_that_is_told_to_stop_cancels_its_job_and_ends_with_0(agent: Agent) -> None:
    listener = agent.start()
    job = agent.job("exec sleep 300")
    agent.until(job, "held")
    eventually(lambda: "Send job request message" in agent.log())
    listener.send_signal(signal.SIGINT)
    assert listener.wait(20) == 0
    assert agent.until(job, "done")["conclusion"] == "cancelled"


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def worker_of(listener: subprocess.Popen[str]) -> int:
    found = (pid for pid in children(listener.pid) if "spawnclient" in Path(f"/proc/{pid}/cmdline").read_text())
    return next(found, 0)


def test_a_killed_worker_is_a_crash(agent: Agent) -> None:
    listener = agent.start()
    job = agent.job("exec sleep 300")
    agent.until(job, "held")
    os.kill(eventually(lambda: worker_of(listener)), signal.SIGKILL)
    assert agent.until(job, "done")["conclusion"] == "failure"
    eventually(lambda: "Return code 137 indicate worker encounter" in agent.log())


def test_a_worker_outlives_its_listener_and_the_lease_runs_out(agent: Agent) -> None:
    agent.github.order("PATCH", "jobs/limits", {"lease": 1.5, "renew": 0.4})
    listener = agent.start()
    job = agent.job("exec sleep 300")
    agent.until(job, "held")
    worker = eventually(lambda: worker_of(listener))
    eventually(lambda: children(worker))  # the step runs: a worker that was not told its job yet ends with its listener
    listener.kill()
    done = agent.until(job, "done")
    assert "lost communication" in done["annotations"][0]
    assert Path(f"/proc/{worker}").exists(), "it is an orphan now"


def test_a_removed_registration_clears_the_identity_and_ends_with_0(agent: Agent) -> None:
    listener = agent.start()
    eventually(lambda: "Listening for Jobs" in agent.log())
    agent.github.order("DELETE", f"runners/{NAME}")
    assert listener.wait(20) == 0
    assert "The runner no longer exists on the server. Cleaning up local configuration." in agent.log()
    assert not (agent.directory / ".runner").exists() and not (agent.directory / ".credentials_rsaparams").exists()
    again = agent.start()
    assert again.wait(20) == 1
    assert "Not configured. Run config" in agent.log()


def test_a_registration_that_was_removed_before_the_start_ends_with_1(agent: Agent) -> None:
    agent.github.order("DELETE", f"runners/{NAME}")
    assert agent.start().wait(20) == 1
    assert "The runner registration has been deleted from the server" in agent.log()


def outdate(agent: Agent) -> None:
    place = agent.directory / "bin" / "Runner.Listener.deps.json"
    place.write_text(tree.dependencies().replace("2.336.0", "2.328.0"))


def test_a_version_below_the_floor_ends_with_1_or_7(agent: Agent) -> None:
    outdate(agent)
    assert agent.start().wait(20) == 1
    assert "Runner version v2.328.0 is deprecated and cannot receive messages" in agent.log()
    assert agent.start(ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE="true").wait(20) == 7


def test_a_second_listener_finds_the_session_taken(agent: Agent) -> None:
    agent.start()
    eventually(lambda: "Listening for Jobs" in agent.log())
    second = agent.start()
    eventually(lambda: "A session for this runner already exists." in agent.log())
    assert second.poll() is None, "it tries on for four minutes"


def test_a_lost_key_is_retryable(agent: Agent) -> None:
    (agent.directory / ".credentials_rsaparams").unlink()
    assert agent.start().wait(20) == 2
    assert "was not found" in agent.log()


def test_an_update_of_itself_leaves_what_a_real_one_leaves(agent: Agent) -> None:
    listener = agent.start()
    eventually(lambda: "Listening for Jobs" in agent.log())
    agent.github.order("POST", f"runners/{NAME}/update", {"version": "2.337.0"})
    assert listener.wait(20) == 3
    assert "Runner will exit shortly for update" in agent.log()
    eventually(lambda: list((agent.directory / "_diag").glob("SelfUpdate-*.log.succeed")))
    assert os.readlink(agent.directory / "bin") == f"{agent.directory}/bin.2.337.0"
    eventually(lambda: not (agent.directory / "_work" / "_update").exists())
    agent.start()
    eventually(lambda: "Current runner version: '2.337.0'" in agent.log())
    job = agent.job("true")
    assert agent.until(job, "done")["conclusion"] == "success", "the new version works"


@pytest.mark.parametrize(
    ("hook", "conclusion", "says"),
    [
        ("echo from the hook", "success", "from the hook"),
        ("exit 3", "failure", "A job started hook has been configured"),
        ("", "failure", "File doesn't exist"),
    ],
)
def test_a_hook_of_the_host_runs_around_each_job(agent: Agent, hook: str, conclusion: str, says: str) -> None:
    place = agent.directory / "hook.sh"
    if hook:
        place.write_text(hook + "\n")
    agent.start(ACTIONS_RUNNER_HOOK_JOB_STARTED=str(place))
    done = agent.until(agent.job("echo the step"), "done")
    assert done["conclusion"] == conclusion
    assert says in "\n".join(done["log"])
    assert ("the step" in "".join(done["log"])) is (conclusion == "success")


def run_service(tmp_path: Path, body: str) -> subprocess.Popen[str]:
    """The service over a Listener that is a shell script."""
    (tmp_path / "bin").mkdir()
    place = tmp_path / "bin" / "Runner.Listener"
    place.write_text(f"#!/bin/sh\n{body}\n")
    place.chmod(0o755)
    code = f"import sys; sys.path.insert(0, {str(tree.AGENT.parent.parent)!r}); from lab.agent import service; service.RELAUNCH_SECONDS = 0.05; sys.exit(service.main())"
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("code", [0, 1, 5])
def test_the_service_ends_with_0_whatever_killed_the_listener(tmp_path: Path, code: int) -> None:
    done = run_service(tmp_path, f"exit {code}")
    said, _ = done.communicate(timeout=20)
    assert done.returncode == 0
    assert f"Runner listener exited with error code {code}" in said


def test_the_service_gives_up_after_ten(tmp_path: Path) -> None:
    done = run_service(tmp_path, "exit 2")
    said, _ = done.communicate(timeout=30)
    assert (done.returncode, said.count("Started listener process")) == (0, 10)
    assert "Stopping the runner after 10 consecutive re-tryable failures" in said


def test_a_killed_listener_is_null_and_relaunched_until_the_service_stops(tmp_path: Path) -> None:
    running = run_service(tmp_path, 'kill -KILL "$$"')
    assert running.stdout is not None
    lines = []
    for line in running.stdout:
        lines.append(line)
        if "".join(lines).count("error code null") == 3:
            break
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 0
    assert any("undefined return code, re-launch runner in 5 seconds" in line for line in lines)


class TestRules:
    """What registers a value, and what does without one of the rules."""

    def heard(self, *lines: str, off: str = "") -> list[str]:
        told = Told(None, 1, "r", Masker(frozenset(off.split())), None, [])  # type: ignore[arg-type]
        for line in lines:
            told.heard(line)
        return [line.partition(" ")[2] for line in told.lines]

    def test_a_secret_of_the_job_is_trimmed_and_what_a_step_names_is_not(self) -> None:
        assert masked("  padded-word ", "x padded-word y") == "x *** y"
        untrimmed = Masker(frozenset({"trim", "lines"}))
        untrimmed.add_secret("  padded-word ")
        assert untrimmed.mask("x padded-word y") == "x padded-word y"
        assert self.heard("::add-mask:: ab cd ", "x ab cd y", "<ab cd>") == ["x***y", "<***>"]

    def test_the_command_itself_is_swallowed(self) -> None:
        assert self.heard("  ::add-mask::word", "a word", "##[add-mask]other", "another") == ["a ***", "an***"]

    def test_escapes_are_read(self) -> None:
        assert self.heard("::add-mask::first%0Asecond%25", "first", "second%") == ["***", "***"]

    def test_while_commands_are_stopped_a_mask_is_printed_and_not_heard(self) -> None:
        lines = ("::stop-commands::tok", "::add-mask::word", "a word", "::tok::", "::add-mask::word", "a word")
        assert self.heard(*lines) == ["::stop-commands::tok", "::add-mask::word", "a word", "::tok::", "a ***"]

    @pytest.mark.parametrize("rule", sorted(ENCODERS))
    def test_each_form_is_a_rule_of_its_own(self, rule: str) -> None:
        value = '"a\\b c&d\'e<f>/g+longer"'
        whole, lacking = Masker(), Masker(frozenset({rule}))
        for masker in (whole, lacking):
            masker.add(value)
        form = ENCODERS[rule](value)
        assert whole.mask(form) == "***"
        assert lacking.mask(form) != "***"
