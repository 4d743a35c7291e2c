"""The same as one HTML file: `report.html` beside verdict.json. It stands on pytest-html, whose table ends the page.

What a host or GitHub said is text here, never markup: every value passes `Page.said` (secrets, control and direction
characters) and then jinja's autoescape, or `html.escape` where pytest-html wants markup. The page's own policy (CSP)
lets nothing be fetched and no script run but the two it was written with.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, MutableSequence, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import pytest
import pytest_html
from markupsafe import Markup
from pytest_html.report_data import ReportData
from pytest_html.selfcontained_report import SelfContainedReport

from fixtures import options
from fixtures.gate import Gate, gate_of
from fixtures.secrets import Redactor
from fixtures.verdict import Judgement, Verdict
from reports.cards import MARKS, WORST, cards, plain

HERE = Path(__file__).parent
NAME = "report.html"
LONGEST = 6000
# A secret that the cut would split is still whole when it is redacted.
SLACK = 4096

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
NO_VERDICT = {2: "Interrupted, no verdict", 3: "The gate itself failed, no verdict", 4: "Refused, no verdict", 5: "Nothing was verified"}

# pytest-html's script knows pytest's words only; each outcome of ours borrows one (outcome, phase, marked as xfail).
BORROWED = {
    "held": ("passed", "call", False),
    "broken": ("failed", "call", False),
    "unknown": ("failed", "setup", False),
    "not applicable": ("skipped", "call", False),
    "waived": ("skipped", "call", True),
    "crashed": ("passed", "call", True),
}
LABELS = {"passed": "held", "failed": "broken", "error": "unknown", "skipped": "not applicable", "xfailed": "waived", "xpassed": "crashed"}


def version() -> str:
    """The suite's own; it runs from its checkout and is never installed, so no package says it."""
    found = re.search(r'^version = "([^"]+)"', (HERE.parent / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    return found[1] if found else "unknown"


def _place(config: pytest.Config) -> Path | None:
    """Where the page of this run goes; None for what is no run of the gate, or only a worker of it."""
    if hasattr(config, "workerinput") or not options.judges(config):
        return None
    given = config.option.reports
    return (Path(given).absolute() if given else config.rootpath / "reports" / "latest") / NAME


def _write(path: Path, page: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}")
    aside.write_text(page, "utf-8")
    os.replace(aside, path)


def _ours(text: str) -> Markup:
    """Markup as this suite, pytest-html or an autoescaping template wrote it; never what a host or GitHub said."""
    return Markup(text)  # noqa: S704 - that is what this function is for


def short(line: str, more: str) -> str:
    """A page for a run that has no verdict, or not yet."""
    title = escape(plain(" ".join(line.split())))
    style = ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}h1{font-size:1.3rem}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><title>{title}</title><style>{style}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body><main><h1>{title}</h1><p>{escape(plain(more))}</p></main></body></html>\n'


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The first act, as for verdict.json: a run that is killed leaves no older "deploy" to be read."""
    if place := _place(config):
        # If it cannot be written: the gate writes to the same place next, and says what is wrong with it.
        with suppress(OSError):
            more = f"A run began at {datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z. If it is not running any more, it was killed: run the gate again."
            _write(place, short("? do not deploy: the gate has not finished", more))


def pytest_configure(config: pytest.Config) -> None:
    """Not tryfirst: the gate has read the call by now, and pytest-html has not yet seen --html."""
    gate = gate_of(config)
    if gate and not gate.worker:
        also = Path(os.path.expandvars(config.option.htmlpath)).expanduser().absolute() if config.option.htmlpath else None
        # One page: pytest-html would write its own there, without verdict and without words of ours.
        config.option.htmlpath = None
        config.pluginmanager.register(Page(config, gate, also), "preflight-page")


def pytest_unconfigure(config: pytest.Config) -> None:
    """A call that was refused never had a session, so its page is written here."""
    place = _place(config)
    if place is None or gate_of(config) is not None:
        return
    with suppress(OSError, ValueError, KeyError):
        said = json.loads((place.parent / "verdict.json").read_text("utf-8"))
        if said["state"] == "refused":
            _write(place, short(said["line"], "The call or its context was refused; nothing was looked at (exit 4)."))


@pytest.hookimpl(optionalhook=True)
def pytest_metadata(metadata: dict[str, Any], config: pytest.Config) -> None:
    """The environment table: not the machine's, whose paths and CI variables are nobody's business."""
    gate = gate_of(config)
    if gate:
        metadata.clear()
        metadata.update({"Runner Preflight": version(), "Context": escape(plain(gate.call.world.name)), "Digest": gate.call.world.digest, "Profile": gate.call.profile or "none (part run)"})


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
    some = [j for j in judgements if not j.holds] or [j for j in judgements if j.outcome == "waived"] or [j for j in judgements if j.outcome == "held"] or list(judgements)
    counts = Counter(j.outcome for j in some)
    ordered = sorted(counts, key=WORST.index)
    text = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ordered)
    shown = next((j for j in some if j.outcome == ordered[0] and not j.cause), None)
    href = f"#{anchor(shown)}" if shown and ordered[0] not in ("held", "not applicable") else ""
    return Cell(ordered[0], text if len(some) == len(judgements) else f"{text} of {len(judgements)}", href)


class Page(SelfContainedReport):  # type: ignore[misc]  # pytest-html ships no types
    """pytest-html's report with a template, rows and a moment of our own: written once the verdict is known."""

    def __init__(self, config: pytest.Config, gate: Gate, also: Path | None) -> None:
        self.place = gate.call.reports / NAME
        super().__init__(str(self.place), config, ReportData(config), None, "")
        self.gate = gate
        self.also = also
        self.traces: dict[tuple[str, str], str] = {}
        self.redact = Redactor()
        self._report.set_data("renderCollapsed", ["all"])

    def said(self, text: str) -> str:
        return plain(self.redact(text))

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A check's row is made from its judgement, at the end; a test that is no check has pytest-html's."""
        if "guarantee" not in report.keywords:
            super().pytest_runtest_logreport(report)
        elif (raw := getattr(report, "preflight", None)) and raw["outcome"] == "crashed":
            self.traces[raw["check"], raw["runner"]] = report.longreprtext.replace(f"{self._config.rootpath}/", "")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        verdict = self.gate.verdict
        if verdict is None:
            return
        self.redact = Redactor((self.gate.token,) if self.gate.token else ())
        try:
            self._report.title = self.said(" ".join(verdict.line.split()))
            for judgement in verdict.judgements:
                self._row(judgement)
            super().pytest_sessionfinish(session)
        # A page that cannot be made must not take the verdict away, which stands in verdict.json and in the last line.
        except Exception as error:
            why = f"the page could not be made: {type(error).__name__}: {error}"
            session.config.hook.pytest_preflight_progress(config=session.config, line=why)
            with suppress(OSError):
                _write(self.place, short(verdict.line, self.said(f"{why}. The verdict stands in verdict.json.")))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """pytest-html's line is not ours to print: the verdict is what is read last, and where reports go is known."""

    def _generate_report(self, *_args: Any, **_kwargs: Any) -> None:
        script, own = (Path(pytest_html.__file__).parent / "resources" / "app.js").read_text("utf-8"), (HERE / "page.js").read_text("utf-8")
        for word, values in self._report.outcomes.items():
            values["label"] = LABELS.get(word, values["label"].lower())
        hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (script, own))
        self._template = self._environment().get_template("page.jinja2", globals={"scripts": [_ours(own), _ours(script)], "hashes": _ours(hashes)})
        super()._generate_report()

    def _finalize(self, value: Any) -> Any:
        return self.said(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    def _environment(self) -> jinja2.Environment:
        return jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True, finalize=self._finalize, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)

    def _write_report(self, rendered_report: str) -> None:
        for path in filter(None, (self.place, self.also)):
            _write(path, rendered_report)

    @property
    def css(self) -> Markup:
        return _ours("\n".join(Path(path).read_text("utf-8") for path in (HERE / "page.css", *self._config.option.css)))

    # pytest-html's table

    def _row(self, j: Judgement) -> None:
        outcome, when, xfail = BORROWED[j.outcome]
        report = pytest.TestReport(j.name, ("", None, j.name), {}, outcome, None, when, duration=j.seconds)  # type: ignore[arg-type]
        report.__dict__.update({"judgement": j} | ({"wasxfail": ""} if xfail else {}))
        self._process_report(report, j.seconds, [])

    def pytest_html_results_table_header(self, cells: MutableSequence[str]) -> None:
        heads = (("result", "Outcome"), ("testId", "Check"), ("runner", "Runner"), ("severity", "If broken"), ("duration", "Took"))
        cells[:] = [f'<th scope="col" class="sortable" data-column-type="{key}" tabindex="0">{word}</th>' for key, word in heads]

    def pytest_html_results_table_row(self, report: Any, cells: MutableSequence[str]) -> None:
        """Cells are markup to pytest-html's script, so every text is escaped here."""
        j: Judgement | None = getattr(report, "judgement", None)
        if j is None:
            cells[:] = [cells[0], self._td("testId", report.nodeid), self._td("runner", ""), self._td("severity", "is no check"), cells[2]]
            return
        cells[:] = [self._td("result", f"{MARKS[j.outcome]} {j.outcome}", 'tabindex="0"'), self._td("testId", j.check.id), self._td("runner", j.runner or "production"), self._td("severity", j.check.severity), cells[2]]

    def _td(self, column: str, text: str, more: str = "") -> str:
        return f'<td class="col-{column}" {more}>{escape(self.said(text))}</td>'

    def _hydrate_data(self, data: dict[str, Any], cells: Sequence[str]) -> None:
        super()._hydrate_data(data, cells)
        # The script makes a class of this word, which must hold no blank; what is shown stands in the cell.
        shown = data["result"].partition(" ")[2] or data["result"]
        words = {label: word for word, label in LABELS.items()}
        data["result"] = words.get(shown, shown)

    def pytest_html_results_table_html(self, report: Any, data: MutableSequence[str]) -> None:
        j: Judgement | None = getattr(report, "judgement", None)
        if j is None:
            data[:] = [self.said(text) for text in data]
            return
        waived = f"{j.waiver.reason} ({j.waiver.ticket}, until {j.waiver.until})" if j.waiver else ""
        parts = (("promise", j.check.claim), ("saw", j.saw), ("try", j.try_), ("waived", waived), ("because", j.cause), ("", self.traces.get(j.key, "")))
        data[:] = [escape(self.said(f"{name:<9}{text}" if name else f"\n{text}")) for name, text in parts if text]

    # What stands above it

    def pytest_html_results_summary(self, prefix: MutableSequence[Any], summary: MutableSequence[Any], postfix: MutableSequence[Any], session: pytest.Session) -> None:
        if verdict := self.gate.verdict:
            prefix.append(_ours(self._environment().get_template("verdict.jinja2").render(**self.told(verdict))))

    def told(self, verdict: Verdict) -> dict[str, Any]:
        """Everything the template says, still as plain text."""
        call, world = self.gate.call, self.gate.call.world
        style, mark, words = SAID[verdict.word]
        words = words if verdict.judgements else NO_VERDICT.get(verdict.code, words)
        if call.profile == "rollback":
            words = words.replace("Deploy", "Roll back").replace("deploy", "roll back")
        today = self.gate.now.date()
        expires = self.gate.now + world.limits.verdict_life if verdict.word in ("deploy", "overridden") else None
        return {
            "verdict": verdict,
            "style": style,
            "mark": mark,
            "words": words,
            "line": " ".join(verdict.line.split()),
            "recording": f"RECORDING of {self.gate.now:%Y-%m-%d %H:%M}Z: what was true then" if call.seen else "",
            "expires": expires.astimezone(UTC).isoformat(timespec="seconds") if expires else "",
            "facts": list(self._facts(verdict, expires)),
            "cards": [(card, anchor(card.judgement), self._page(card.page)) for card in cards(verdict)],
            "runners": [(r.name, r.role, verdict.fit.get(r.name, "" if r.approved_on(today) else "not approved")) for r in world.runners],
            "matrix": self._matrix(verdict.judgements),
            "waivers": [(w, any(j.waiver == w for j in verdict.judgements)) for w in world.waivers if w.until >= today],
            "controls": [c for c in ("reviewers", "no-self-review", "branch-policy", "no-admin-bypass") if c not in world.environment.requires],
            "hosts": self._hosts(),
            "asked": self._asked(),
            "cut": self._cut,
        }

    def _facts(self, verdict: Verdict, expires: datetime | None) -> Iterable[tuple[str, str]]:
        call, world = self.gate.call, self.gate.call.world
        yield "Runner", f"{verdict.runner}, runs-on [{', '.join(verdict.runs_on)}]" if verdict.runner else "none: nothing is cleared"
        yield "Profile", call.profile or "none (part run)"
        yield "Context", world.name
        yield "Repository", world.github.repository
        yield "Looked" if self.gate.seen else "Began", f"{self.gate.now.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
        yield "Expires", f"{expires.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if expires else "at once: this is no clearance"
        if self.gate.summary and not call.seen:
            yield "Asked", self.gate.summary
        if call.override:
            yield "Override", call.override
        if run := os.environ.get("GITHUB_RUN_ID"):
            yield "Run", f"{run}, attempt {os.environ.get('GITHUB_RUN_ATTEMPT', '1')}"

    def _matrix(self, judgements: Sequence[Judgement]) -> list[tuple[str, str, list[Cell]]]:
        columns = [*(r.name for r in self.gate.call.world.runners), ""]
        promises = {j.check.guarantee: j.check.promise for j in judgements}
        return [(slug, promise, [cell([j for j in judgements if j.check.guarantee == slug and j.runner == column]) for column in columns]) for slug, promise in promises.items()]

    def _page(self, page: str) -> str:
        """A link to the context page; "" when the reports are outside of the checkout, where no link leads there."""
        root = self._config.rootpath
        return f"{'../' * len(self.place.parent.relative_to(root).parts)}{page}" if self.place.is_relative_to(root) else ""

    def _hosts(self) -> list[tuple[Any, str]]:
        """Each host that was asked, and the way to its file."""
        hosts = sorted(self.gate.seen.hosts.items()) if self.gate.seen else []
        return [(host, "" if self.gate.call.seen else f"seen/hosts/{quote(quote(name, safe=''))}.json") for name, host in hosts]

    def _asked(self) -> list[tuple[str, dict[str, Any]]]:
        """GitHub's answers as the recording has them: redacted, for a look of this run too."""
        place = self.gate.call.seen or self.gate.call.reports / "seen"
        return sorted(json.loads((place / "github.json").read_text("utf-8")).items()) if self.gate.seen else []

    def _cut(self, text: str) -> str:
        shown = self.said(text[: LONGEST + SLACK])
        return f"{shown[:LONGEST]}\n… and {len(text) - LONGEST} characters more" if len(text) > LONGEST else shown
