"""`metrics.prom`: what a run of a profile said, for node_exporter's textfile collector.

Every series carries `context` and `profile`, so that the files of several gates can lie side by side. The format is
Prometheus' text format 0.0.4; names, help and units follow its conventions (`promtool check metrics` is clean).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from fixtures.verdict import Outcome, Verdict, Word
from reports.cards import plain

NAME = "metrics.prom"
BUCKETS = (60, 120, 300, 600, 900, 1800)
"""Seconds. 300 and 600 are the promises: a broken runner noticed in five minutes, a deploy done in ten."""
SAID = tuple(word for word in get_args(Word) if word not in ("replay", "part"))

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Family:
    """One metric. Each sample is (suffix of the name, labels, value)."""

    name: str
    kind: Literal["gauge", "histogram"]
    about: str
    samples: Sequence[tuple[str, Labels, float]] = field(default=())


def text(
    verdict: Verdict,
    context: str,
    profile: str,
    finished: datetime,
    took: float,
    deploys: Sequence[timedelta] | None,
    hour: Mapping[str, int] | None = None,
) -> str:
    """`took` in seconds; `deploys` are the durations that this run saw, None when it did not look at them; `hour` how many
    deploys of the last hour had each conclusion, likewise."""
    world: Labels = (("context", context), ("profile", profile))
    families = [*_families(verdict, world, finished, took, deploys), *([] if hour is None else [_hour(hour, world)])]
    return "".join(map(_shown, families))


def _hour(hour: Mapping[str, int], world: Labels) -> Family:
    return Family(
        "runner_preflight_deploys_last_hour",
        "gauge",
        "How many production deploys ended in the hour before the run, by success or failure; each attempt counts.",
        [("", (*world, ("conclusion", word)), hour[word]) for word in ("success", "failure")],
    )


def _families(
    verdict: Verdict, world: Labels, finished: datetime, took: float, deploys: Sequence[timedelta] | None
) -> Iterable[Family]:
    yield Family(
        "runner_preflight_check_held",
        "gauge",
        "1 where the check holds, is waived or does not apply; 0 where it is broken, unknown or crashed.",
        [
            (
                "",
                (*world, ("check", j.check.id), ("runner", j.runner), ("severity", j.check.severity)),
                float(j.holds),
            )
            for j in verdict.judgements
        ],
    )
    counts = Counter(j.outcome for j in verdict.judgements)
    yield Family(
        "runner_preflight_checks",
        "gauge",
        "How many judgements of the last run had each outcome.",
        [("", (*world, ("outcome", outcome)), counts[outcome]) for outcome in get_args(Outcome)],
    )
    yield Family(
        "runner_preflight_verdict",
        "gauge",
        "1 for what the last run said, 0 for what it did not say; deploy is the only clearance.",
        [("", (*world, ("verdict", word)), float(verdict.word == word)) for word in SAID],
    )
    yield Family(
        "runner_preflight_duration_seconds", "gauge", "How long the last run took.", [("", world, round(took, 3))]
    )
    yield Family(
        "runner_preflight_last_run_timestamp_seconds",
        "gauge",
        "When the last run ended, in Unix time.",
        [("", world, round(finished.timestamp(), 3))],
    )
    if deploys is not None:
        yield _histogram(deploys, world)


def _histogram(deploys: Sequence[timedelta], world: Labels) -> Family:
    seconds = [d.total_seconds() for d in deploys]
    name = "runner_preflight_deploy_duration_seconds"
    samples: list[tuple[str, Labels, float]] = [
        ("_bucket", (*world, ("le", str(bound))), sum(s <= bound for s in seconds)) for bound in BUCKETS
    ]
    samples += [
        ("_bucket", (*world, ("le", "+Inf")), len(seconds)),
        ("_sum", world, sum(seconds)),
        ("_count", world, len(seconds)),
    ]
    return Family(
        name,
        "histogram",
        "How long the production deploys of the context's window took; counted anew by every run, so use it without rate().",
        samples,
    )


def _shown(family: Family) -> str:
    rows = [f"# HELP {family.name} {_escaped(family.about)}", f"# TYPE {family.name} {family.kind}"]
    rows += [f"{family.name}{suffix}{_labels(labels)} {_number(value)}" for suffix, labels, value in family.samples]
    return "\n".join(rows) + "\n"


def _labels(labels: Labels) -> str:
    quoted = (f'{name}="{_escaped(value, quote=True)}"' for name, value in labels)
    return "{" + ",".join(quoted) + "}"


def _escaped(value: str, *, quote: bool = False) -> str:
    value = plain(value).replace("\\", "\\\\").replace("\n", "\\n")
    return value.replace('"', '\\"') if quote else value


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
