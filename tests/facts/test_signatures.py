"""The table of log lines: each sample is matched by its own signature, and no healthy line by any that is a trouble."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from fixtures.facts.signatures import SIGNATURES, Signature

# What a healthy runner writes: its start, idling, a job, a reconnection, an update. From real logs' form (runner-host.md 1.6).
HEALTHY = """\
[2026-08-20 10:00:00Z INFO Listener] Runner is built for Linux (X64) - linux-x64.
[2026-08-20 10:00:00Z INFO Listener] Version: 2.336.0
[2026-08-20 10:00:00Z INFO Listener] Commit: 258d6c857
[2026-08-20 10:00:00Z INFO Listener] Args: run --startuptype service
[2026-08-20 10:00:00Z INFO HostContext] Well known directory 'Bin': '/opt/actions-runner/bin'
[2026-08-20 10:00:01Z INFO ConfigurationStore] currentAssemblyLocation: /opt/actions-runner/bin/Runner.Listener.dll
[2026-08-20 10:00:01Z INFO RSAFileKeyManager] Loading RSA key parameters from file /opt/actions-runner/.credentials_rsaparams
[2026-08-20 10:00:01Z INFO Runner] Falling back to original .runner settings
[2026-08-20 10:00:01Z INFO GitHubActionsService] AAD Correlation ID for this token request: Unknown
[2026-08-20 10:00:02Z INFO BrokerMessageListener] Session created.
[2026-08-20 10:00:02Z INFO Terminal] WRITE LINE: Current runner version: '2.336.0'
[2026-08-20 10:00:02Z INFO Terminal] WRITE LINE: 2026-08-20 10:00:02Z: Listening for Jobs
[2026-08-20 10:10:00Z INFO BrokerMessageListener] Acknowledging runner request 'db731423-8b2c-51e7-b9ce-400a5148d879'.
[2026-08-20 10:10:01Z INFO JobDispatcher] Job request 0 for plan 5d1a2c33-0000-4000-8000-000000000000 job db731423-8b2c-51e7-b9ce-400a5148d879 received.
[2026-08-20 10:10:01Z INFO JobDispatcher] Successfully renew job db731423-8b2c-51e7-b9ce-400a5148d879, job is valid till 8/20/2026 10:20:01 AM
[2026-08-20 10:10:02Z INFO Terminal] WRITE LINE: 2026-08-20 10:10:02Z: Running job: deploy
[2026-08-20 10:10:02Z INFO ProcessInvokerWrapper] Starting process: /opt/actions-runner/bin/Runner.Worker spawnclient 120 123
[2026-08-20 10:12:01Z INFO JobDispatcher] Worker finished for job db731423-8b2c-51e7-b9ce-400a5148d879. Code: 100
[2026-08-20 10:12:01Z INFO JobDispatcher] finish job request for job db731423-8b2c-51e7-b9ce-400a5148d879 with result: Succeeded
[2026-08-20 10:12:01Z INFO Terminal] WRITE LINE: 2026-08-20 10:12:01Z: Job deploy completed with result: Succeeded
[2026-08-20 10:12:01Z INFO BrokerMessageListener] Get messages has been cancelled using local token source. Continue to get messages with new status.
[2026-08-20 11:00:00Z INFO Terminal] WRITE LINE: 2026-08-20 11:00:00Z: Runner reconnected.
[2026-08-20 12:00:00Z INFO Terminal] WRITE LINE: Runner update in progress, do not shutdown runner.
[2026-08-20 12:00:09Z INFO Terminal] WRITE LINE: Runner will exit shortly for update, should be back online within 10 seconds.
[2026-08-20 12:00:10Z INFO Listener] Runner execution has finished with return code 3
Starting Runner listener with startup type: service
Started listener process, pid: 41
Runner listener exit because of updating, re-launch runner in 5 seconds.
Runner listener exit with 0 return code, stop the service, no retry needed.
√ Connected to GitHub
Started actions.runner.acme-widgets.prod-runner-01.service - GitHub Actions Runner (acme-widgets.prod-runner-01).
""".splitlines()


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda s: s.id)
def test_each_sample_is_its_own(signature: Signature) -> None:
    assert signature.pattern.search(signature.sample)
    rivals = [
        other.id
        for other in SIGNATURES
        if other.pattern.search(signature.sample) and other is not signature and other.severity == "crit"
    ]
    # The general word before an end says nothing; what it announces does.
    assert not rivals or signature.id in ("ERR-OCCURRED",)


@pytest.mark.parametrize("line", HEALTHY)
def test_a_healthy_line_is_no_trouble(line: str) -> None:
    assert not [s.id for s in SIGNATURES if s.severity in ("err", "crit") and s.pattern.search(line)]


def test_there_are_ninety_and_each_is_whole() -> None:
    assert len(SIGNATURES) == 90
    assert max(Counter(s.id for s in SIGNATURES).values()) == 1
    for s in SIGNATURES:
        assert re.fullmatch(r"[A-Z0-9]+-?[A-Z0-9-]*", s.id), s.id
        assert s.where and set(s.where) <= set("DWJKUA"), s.id
        assert s.meaning and not s.meaning.endswith("."), s.id
        assert s.mend or s.severity in ("ok", "info", "warn", "err"), f"{s.id}: what is critical says how to mend it"
        assert "\n" not in s.sample


def test_a_long_line_costs_no_time() -> None:
    """No expression may wander: a hostile log line is long."""
    line = "An error occurred: " + "a/_work" * 20_000 + " Job x completed with result: "
    assert not [s.id for s in SIGNATURES if s.severity == "crit" and s.pattern.search(line)]
