"""What one look at a host tells a watch: from the recording of a healthy host, and with each section spoilt."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fixtures.facts import hostsight, runnerlife
from fixtures.facts.limits import Limits
from fixtures.facts.seen import HostSeen
from fixtures.facts.sights import MOST_TEXT
from tests.worlds import healthy

CONTEXT, RUN, HOSTS, BASE = healthy()
PRIMARY = CONTEXT.primary
SEEN = HOSTS[PRIMARY.name]
LIMITS = replace(CONTEXT.limits, watch_disk=type(CONTEXT.limits.watch_disk)(4 * 1024**2))
NAMES = {fact.NAME for fact in hostsight.ASKED}


def with_section(name: str, **changes: Any) -> HostSeen:
    return replace(SEEN, sections={**SEEN.sections, name: replace(SEEN.sections[name], **changes)})


def test_a_healthy_host_tells_of_all() -> None:
    host, gaps = hostsight.sight(SEEN, PRIMARY, 60.0, LIMITS)
    assert not gaps and set(host.told) == NAMES
    assert (host.unit, len(host.listeners), host.workers, host.full) == ("active", 1, (), ())
    # It is idle; but for the job that it has not, nothing is wrong.
    assert [sign.cause for sign in runnerlife.of_host(host, 60.0, LIMITS)] == ["worker-gone"]
    assert runnerlife.of_host(host, 60.0, LIMITS, over=True) == ()


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize(
    "changes",
    [{"state": "timeout"}, {"state": "lost", "out": ""}, {"out": ""}, {"out": "\0garbage\x1b[2J"}, {"state": "capped"}],
    ids=str,
)
def test_a_section_without_an_answer_is_a_gap_and_stops_no_other(name: str, changes: Any) -> None:
    host, gaps = hostsight.sight(with_section(name, **changes), PRIMARY, 60.0, LIMITS)
    assert set(host.told) == NAMES - {name}
    assert [gap.half for gap in gaps] == ["host"] and gaps[0].what and "\x1b" not in gaps[0].what
    assert not {"service-dead", "listener-gone", "disk-full"} & {
        s.cause for s in runnerlife.of_host(host, 60.0, LIMITS)
    }


def test_a_host_that_does_not_answer_is_one_gap() -> None:
    away = HostSeen(PRIMARY.name, "no-answer", "x" * 9999, "ssh it")
    host, (gap,) = hostsight.sight(away, PRIMARY, 60.0, LIMITS)
    assert (host.reach, host.told) == ("no-answer", ()) and len(gap.what) <= MOST_TEXT


def test_a_plain_process_has_no_unit_and_no_gap_for_it() -> None:
    host, gaps = hostsight.sight(SEEN, replace(PRIMARY, supervisor="process"), 60.0, LIMITS)
    assert "unit" not in host.told and not gaps


def test_the_lease_and_the_disks_are_read() -> None:
    diag = SEEN.sections["diag"].out
    now = float(diag.split()[1])
    at = datetime.fromtimestamp(now - 90, UTC)
    line = f"[{at:%Y-%m-%d %H:%M:%S}Z INFO JobDispatcher] Successfully renew job 1f, job is valid till x\n"
    told = with_section("diag", out=diag.replace("end of log\n", f"{line}end of log\n"))
    assert hostsight.sight(told, PRIMARY, 60.0, LIMITS)[0].renewed == 90
    full = replace(LIMITS, watch_disk=type(LIMITS.watch_disk)(1 << 60))
    assert len(hostsight.sight(SEEN, PRIMARY, 60.0, full)[0].full) == 3


@pytest.mark.parametrize("age", [-5.0, 0.0, 0.4, 1e9])
def test_kills_are_counted_since_the_job_began(age: float) -> None:
    asked = hostsight.during(CONTEXT, age).limits.oom_window.total_seconds()
    assert asked == max(1, int(age))
    assert f"--since=-{int(asked)}s" in hostsight.ASKED[-1].shell(PRIMARY, hostsight.during(CONTEXT, age))


def test_the_limits_of_a_watch_have_defaults_that_fit_into_five_minutes() -> None:
    """Two looks at a host after the last good one; a lease that is renewed no more; a job that nobody takes, politely asked."""
    usual = Limits()
    host, github = usual.watch_hosts, usual.watch_every
    assert 3 * host + 2 * github < usual.watch_noticed
    assert usual.watch_renewed + 2 * host + github <= usual.watch_noticed
    assert usual.watch_taken + 5 * github < usual.watch_noticed
    assert usual.watch_blind + github < usual.watch_noticed
