"""What is found in logs: what counts, what was accepted, and what could not be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from fixtures.facts.context import AcceptedLeak
from fixtures.facts.joblogs import JobLogs, Leak
from fixtures.facts.seen import NotApplicable, Unseen

TODAY = date(2026, 11, 25)
LEAK = Leak(7, 1, "deploy", "Run Deploy", 12, "github-pat", "token ***", "00ff00ff00ff00ff", "https://x/job/1")
READ = JobLogs(3, 6, 0, (), ())


def accepted(until: date = TODAY) -> AcceptedLeak:
    return AcceptedLeak(LEAK.fingerprint, "an example", "owner", "INFRA-472", until)


def test_clean() -> None:
    assert READ.open((), TODAY) == []
    assert repr(READ) == "6 logs of 3 production runs read: 0 findings"


def test_a_leak_says_all_that_is_needed() -> None:
    found = replace(READ, leaks=(LEAK,)).open((), TODAY)
    assert found == [LEAK]
    assert repr(found[0]) == (
        "github-pat in run 7, deploy, Run Deploy, line 12: token *** (00ff00ff00ff00ff, https://x/job/1)"
    )
    assert "run 7 attempt 2" in repr(replace(LEAK, attempt=2))


def test_the_same_secret_in_one_job_is_one_leak() -> None:
    again = replace(LEAK, line=99)
    elsewhere = replace(LEAK, run=8)
    assert replace(READ, leaks=(LEAK, again, elsewhere)).open((), TODAY) == [LEAK, elsewhere]


def test_what_is_accepted_until_a_day() -> None:
    logs = replace(READ, leaks=(LEAK,))
    assert logs.open((accepted(),), TODAY) == []
    assert logs.open((accepted(date(2026, 11, 24)),), TODAY) == [LEAK]
    other = replace(LEAK, fingerprint="1" * 16)
    assert replace(logs, leaks=(LEAK, other)).open((accepted(),), TODAY) == [other]


def test_what_was_not_read_is_unknown_unless_something_leaks() -> None:
    half = replace(READ, unread=(("GitHub's rate limit is used up", "wait"),))
    with pytest.raises(Unseen, match="1 of 7 logs of production's jobs: GitHub's rate limit is used up"):
        half.open((), TODAY)
    assert replace(half, leaks=(LEAK,)).open((), TODAY) == [LEAK]
    with pytest.raises(Unseen):
        replace(half, leaks=(LEAK,)).open((accepted(),), TODAY)


def test_without_logs_there_is_nothing_to_judge() -> None:
    with pytest.raises(NotApplicable, match="none of their jobs has a log any more"):
        JobLogs(3, 0, 6, (), ()).open((), TODAY)
