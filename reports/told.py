"""What the head of the page says of a run, as values; reports/page.py dresses them."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fixtures.context import MAX_WAIVER
from fixtures.facts.hostfacts import HOST_FACTS
from fixtures.facts.seen import HostSeen, NotApplicable, Unseen
from fixtures.gate import Gate
from fixtures.known import Known
from fixtures.verdict import Judgement, Verdict
from reports.cards import MARKS, WORST, cards, names, notes, some
from reports.charts import charts
from reports.gaps import shown
from reports.history import Trends
from reports.jobs import jobs

BODY = 3000
"""Characters of an answer that the page shows; the recording beside it has all."""

# The banner by the verdict's word: its style, its mark, its words.
SAID = {
    "deploy": ("go", "√", "Deploy"),
    "hold": ("stop", "×", "Do not deploy"),
    "unknown": ("unsure", "?", "Do not deploy: not everything could be seen"),
    "replay": ("none", "↻", "Recording, no clearance"),
    "part": ("none", "-", "Part of the checks, no clearance"),
    "report": ("none", "-", "Report only, no clearance"),
    "overridden": ("override", "!", "Overridden, not cleared"),
}
NO_VERDICT = {
    2: "Interrupted, no verdict",
    3: "The gate itself failed, no verdict",
    4: "Refused, no verdict",
    5: "Nothing was verified",
}


@dataclass(frozen=True)
class Cell:
    """A place of the matrix: one guarantee, on one runner or in production as a whole. `outcome` "" where nothing is judged."""

    outcome: str = ""
    text: str = ""
    href: str = ""

    @property
    def mark(self) -> str:
        return MARKS.get(self.outcome, "")


def anchor(judgement: Judgement) -> str:
    return "card-" + quote(judgement.name, safe="").replace("%", "-")


def cell(judgements: Sequence[Judgement]) -> Cell:
    """The worst outcome, its mark and its card, and how many do not hold; "5 held" where nothing is wrong."""
    if not judgements:
        return Cell()
    some = (
        [j for j in judgements if not j.holds]
        or [j for j in judgements if j.outcome == "waived"]
        or [j for j in judgements if j.outcome == "held"]
        or list(judgements)
    )
    counts = Counter(j.outcome for j in some)
    ordered = sorted(counts, key=WORST.index)
    text = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ordered)
    shown = next((j for j in some if j.outcome == ordered[0] and not j.cause), None)
    href = f"#{anchor(shown)}" if shown and ordered[0] not in ("held", "not applicable") else ""
    return Cell(ordered[0], text if len(some) == len(judgements) else f"{text} of {len(judgements)}", href)


def told(gate: Gate, verdict: Verdict, root: Path, trends: Trends) -> dict[str, Any]:
    """Everything that verdict.jinja2 says, as it was seen: the template redacts and escapes it. `root` is the checkout."""
    call, world = gate.call, gate.call.world
    style, mark, words = SAID[verdict.word]
    words = words if verdict.judgements else NO_VERDICT.get(verdict.code, words)
    if call.profile == "rollback":
        words = words.replace("Deploy", "Roll back").replace("deploy", "roll back")
    today = gate.now.date()
    expires = gate.now + world.limits.verdict_life if verdict.word in ("deploy", "overridden") else None
    return {
        "verdict": verdict,
        "style": style,
        "mark": mark,
        "words": words,
        "line": " ".join(verdict.line.split()),
        "recording": f"RECORDING of {gate.now:%Y-%m-%d %H:%M}Z: what was true then"
        if call.seen and not gate.files
        else "",
        "expires": expires.astimezone(UTC).isoformat(timespec="seconds") if expires else "",
        "facts": list(_facts(gate, verdict, expires)),
        "cards": [
            (card, anchor(card.judgement), _way(gate, root, card.page), Explained.of(root, card.judgement.check.id))
            for card in cards(verdict)
        ],
        "runners": [
            (r.name, r.role, verdict.fit.get(r.name, "" if r.approved_on(today) else "not approved"))
            for r in world.runners
        ],
        "matrix": _matrix(gate, verdict.judgements),
        "waivers": [(w, any(j.waiver == w for j in verdict.judgements)) for w in world.waivers if w.until >= today],
        "notes": notes(verdict.judgements, world),
        "trends": trends,
        "latest": gate.now.date() + MAX_WAIVER,
        "names": names,
        "some": some,
        "anchor": anchor,
        "charts": charts(seen(gate, "history"), world.limits, trends),
        "masking": shown(seen(gate, "canaries")),
        "jobs": jobs(seen(gate, "workflows"), world),
        "hosts": _hosts(gate),
        "asked": _asked(gate),
    }


@dataclass(frozen=True)
class Explained:
    """What the guarantee's page says of a check: its paragraphs, and the tickets of its front matter. Empty without a page."""

    paragraphs: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()

    @staticmethod
    def of(root: Path, check: str) -> Explained:
        guarantee, slug = check.split("/")
        page = root / "contexts" / f"{guarantee}.md"
        text = page.read_text("utf-8") if page.is_file() else ""
        listed = re.search(r"^jira_tickets: \[([^\]\n]*)\]$", text, re.MULTILINE)
        section = re.search(rf"^## {re.escape(slug)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        paragraphs = re.split(r"\n(?=\n|Mend: |- )\n*", section[1].strip()) if section else []
        return Explained(
            tuple(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip()),
            tuple(ticket.strip() for ticket in listed[1].split(",")) if listed else (),
        )


def seen(gate: Gate, name: str) -> Any:
    """A fact of GitHub's that this run's own checks asked for; None where they did not, or could not see it."""
    if gate.seen is None:
        return None
    try:
        return Known(gate.seen, gate.call.world).github(name)
    except (Unseen, NotApplicable):
        return None


def _facts(gate: Gate, verdict: Verdict, expires: datetime | None) -> Iterable[tuple[str, str]]:
    call, world = gate.call, gate.call.world
    yield (
        "Runner",
        f"{verdict.runner}, runs-on [{', '.join(verdict.runs_on)}]" if verdict.runner else "none: nothing is cleared",
    )
    yield "Profile", call.profile or "none (part run)"
    yield "Context", world.name
    yield "Repository", world.github.repository
    yield "Looked" if gate.seen else "Began", f"{gate.now.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    yield "Expires", f"{expires.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if expires else "at once: this is no clearance"
    if gate.summary and not call.seen:
        yield "Asked", gate.summary
    if call.override:
        yield "Override", call.override
    if run := os.environ.get("GITHUB_RUN_ID"):
        yield "Run", f"{run}, attempt {os.environ.get('GITHUB_RUN_ATTEMPT', '1')}"


def _matrix(gate: Gate, judgements: Sequence[Judgement]) -> list[tuple[str, str, list[Cell]]]:
    columns = [*(r.name for r in gate.call.world.runners), ""]
    promises = {j.check.guarantee: j.check.promise for j in judgements}
    return [
        (
            slug,
            promise,
            [cell([j for j in judgements if j.check.guarantee == slug and j.runner == column]) for column in columns],
        )
        for slug, promise in promises.items()
    ]


def _way(gate: Gate, root: Path, page: str) -> str:
    """A link to the context page; "" when the reports are outside of the checkout, where no link leads there."""
    place = gate.call.reports
    return f"{'../' * len(place.relative_to(root).parts)}{page}" if place.is_relative_to(root) else ""


@dataclass(frozen=True)
class Host:
    """One host that was asked. `asked` is the shell of each section, `href` the way to its recording."""

    seen: HostSeen
    href: str
    asked: Mapping[str, str]


def _hosts(gate: Gate) -> list[Host]:
    world = gate.call.world
    runners = {runner.name: runner for runner in world.runners}
    found = []
    for name, host in sorted(gate.seen.hosts.items()) if gate.seen else ():
        facts = {section: HOST_FACTS[section] for section in host.sections if section in HOST_FACTS and name in runners}
        asked = {section: fact.shell(runners[name], world).strip() for section, fact in facts.items()}
        href = "" if gate.call.seen else f"seen/hosts/{quote(quote(name, safe=''))}.json"
        found.append(Host(host, href, asked))
    return found


@dataclass(frozen=True)
class Asked:
    """One question to GitHub. `took` in seconds, 0 where it is not known; `body` as text."""

    path: str
    status: int
    failure: str
    took: float
    body: str


def _asked(gate: Gate) -> list[Asked]:
    """GitHub's answers as the recording has them: redacted, for a look of this run too."""
    place = gate.call.seen or gate.call.reports / "seen"
    raw = sorted(json.loads((place / "github.json").read_text("utf-8")).items()) if gate.seen else []
    return [
        Asked(
            path,
            answer.get("status", 0),
            answer.get("failure", ""),
            max(0.0, answer.get("received", 0) - answer.get("sent", 0)),
            json.dumps(answer.get("body"), indent=1, ensure_ascii=False)[:BODY],
        )
        for path, answer in raw
    ]
