"""The gate's own judgement over a stand-in: the real look over HTTP, the recorded hosts of a healthy lab, the quick checks,
the verdict. What a test of GitHub needs of the gate, without hosts of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fixtures.app import App
from fixtures.ask import Ask, Recorded
from fixtures.facts.context import Context
from fixtures.facts.registrations import choices
from fixtures.facts.seen import Unseen
from fixtures.known import Known
from fixtures.look import Looked, Questions, look
from fixtures.looks import Run
from fixtures.secrets import Secret
from fixtures.seen import Seen
from fixtures.verdict import Check, Judgement, Mode, Traffic, Verdict, judge
from tests import worlds
from tests.checks.test_every_check import CHECKS, closure_of, outcome
from tests.checks.test_every_check import ELSEWHERE as RECORDED_ANSWERS
from tests.lab.standin import TOKEN, Standin

RECORDED, _RUN, HOSTS, _BASE = worlds.healthy()
RECORDED_ELSEWHERE = {source: Recorded(answers, "", "") for source, answers in RECORDED_ANSWERS.items()}
DEADLINE = 4.0  # seconds


def alive(github: Standin) -> None:
    for runner in RECORDED.runners:
        github.poll(runner.name)


def marks(check: str) -> Mapping[str, Any]:
    return next(m for m in CHECKS[check].pytestmark if m.name == "guarantee").kwargs  # type: ignore[attr-defined,no-any-return]


QUICK = tuple(check for check in CHECKS if marks(check)["when"] == "quick")
NAMES = frozenset().union(*(closure_of(CHECKS[check]) for check in QUICK))


def world(standin: Standin, **changes: Any) -> Context:
    """The recorded lab's context, for this stand-in."""
    limits = replace(RECORDED.limits, deadline=timedelta(seconds=DEADLINE))
    return replace(RECORDED, **{"github": replace(RECORDED.github, api_url=standin.url), "limits": limits, **changes})


def seen_by(ask: Ask, run: Run, elsewhere: Mapping[str, Ask] = RECORDED_ELSEWHERE) -> Seen:
    return Seen(run, HOSTS, ask, elsewhere=elsewhere)


@dataclass(frozen=True)
class Said:
    """What the gate says: the outcome of every quick check, by its name with its runner, and the verdict."""

    outcomes: Mapping[str, str]
    verdict: Verdict

    def those(self, outcome_: str) -> frozenset[str]:
        return frozenset(check.partition("[")[0] for check, found in self.outcomes.items() if found == outcome_)


def said(seen: Seen, context: Context) -> Said:
    """The quick profile's checks over what was seen, and the verdict, as the gate comes to them."""
    known = Known(seen, context)
    today = seen.run.now.date()
    owed, reported, outcomes = [], {}, {}
    for which in QUICK:
        m = marks(which)
        keys = ("severity", "when", "per", "rollback", "waivable")
        check = Check(which, m["of"], m["promise"], "claim", *(m[key] for key in keys))
        for runner in context.approved(today) if m["per"] == "runner" else (None,):
            found = outcome(CHECKS[which], known, runner or context.primary)
            judgement = Judgement(check, runner.name if runner else "", found)  # type: ignore[arg-type]
            owed.append((check, judgement.runner))
            reported[judgement.key] = judgement
            outcomes[judgement.name] = found
    try:
        registrations = known.github("registrations")
        takers = {c.runner: tuple(t.name for t in c.takers) for c in choices(context.approved(today), registrations)}
        busy = frozenset(r.name.casefold() for r in registrations.runners if r.busy)
        traffic = Traffic(takers, busy)
    except Unseen:
        traffic = None
    return Said(outcomes, judge(owed, reported, context, today, traffic, Mode("quick")))


LOOKED = Questions.of(NAMES).github
"""The looks that the quick checks need, as the gate finds them."""
OF_THE_TOKEN = frozenset({"token_claims", "login_certificates"})
"""What the gate asks itself besides: no GitHub, no host."""


def judged(context: Context, token: str | App = TOKEN) -> tuple[Said, Looked]:
    """The whole of it, now."""
    run = Run(datetime.now(UTC).replace(microsecond=0))
    secret = Secret(token) if isinstance(token, str) else token
    looked = look(context, (), Questions.of(LOOKED | OF_THE_TOKEN), run, secret, lambda _: None)
    return said(seen_by(looked.seen.ask, run, looked.seen.elsewhere), context), looked
