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
from collections.abc import MutableSequence, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import pytest
import pytest_html
from markupsafe import Markup
from pytest_html.report_data import ReportData
from pytest_html.selfcontained_report import SelfContainedReport

from fixtures.gate import Gate, gate_of
from fixtures.secrets import ROOM
from fixtures.verdict import Judgement
from reports.cards import MARKS, one_line, plain
from reports.machines import trends_of
from reports.place import place_of, write
from reports.told import told

HERE = Path(__file__).parent
NAME = "report.html"
LONGEST = 6000
# A secret that the cut would split is still whole when it is redacted.
SLACK = 4096

# pytest-html's script knows pytest's words only; each outcome of ours borrows one (outcome, phase, marked as xfail).
BORROWED = {
    "held": ("passed", "call", False),
    "broken": ("failed", "call", False),
    "unknown": ("failed", "setup", False),
    "not applicable": ("skipped", "call", False),
    "waived": ("skipped", "call", True),
    "crashed": ("passed", "call", True),
}
LABELS = {
    "passed": "held",
    "failed": "broken",
    "error": "unknown",
    "skipped": "not applicable",
    "xfailed": "waived",
    "xpassed": "crashed",
}


def version() -> str:
    """The suite's own; it runs from its checkout and is never installed, so no package says it."""
    found = re.search(r'^version = "([^"]+)"', (HERE.parent / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    return found[1] if found else "unknown"


def _ours(text: str) -> Markup:
    """Markup as this suite, pytest-html or an autoescaping template wrote it; never what a host or GitHub said."""
    return Markup(text)  # noqa: S704 - that is what this function is for


def short(line: str, more: str) -> str:
    """A page for a run that has no verdict, or not yet."""
    title = escape(one_line(line))
    style = ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}h1{font-size:1.3rem}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><title>{title}</title><style>{style}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body><main><h1>{title}</h1><p>{escape(plain(more))}</p></main></body></html>\n'


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The first act, as for verdict.json: a run that is killed leaves no older "deploy" to be read."""
    if place := place_of(config):
        # If it cannot be written: the gate writes to the same place next, and says what is wrong with it.
        with suppress(OSError):
            more = f"A run began at {datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z. If it is not running any more, it was killed: run the gate again."
            write(place / NAME, short("? do not deploy: the gate has not finished", more))


def pytest_configure(config: pytest.Config) -> None:
    """Not tryfirst: the gate has read the call by now, and pytest-html has not yet seen --html."""
    gate = gate_of(config)
    if gate and not gate.worker:
        also = (
            Path(os.path.expandvars(config.option.htmlpath)).expanduser().absolute() if config.option.htmlpath else None
        )
        # One page: pytest-html would write its own there, without verdict and without words of ours.
        config.option.htmlpath = None
        config.pluginmanager.register(Page(config, gate, also), "preflight-page")


def pytest_unconfigure(config: pytest.Config) -> None:
    """A call that was refused never had a session, so its page is written here."""
    place = place_of(config)
    if place is None or gate_of(config) is not None:
        return
    with suppress(OSError, ValueError, KeyError):
        said = json.loads((place / "verdict.json").read_text("utf-8"))
        if said["state"] == "refused":
            write(
                place / NAME,
                short(said["line"], "The call or its context was refused; nothing was looked at (exit 4)."),
            )


@pytest.hookimpl(optionalhook=True)
def pytest_metadata(metadata: dict[str, Any], config: pytest.Config) -> None:
    """The environment table: not the machine's, whose paths and CI variables are nobody's business."""
    gate = gate_of(config)
    if gate:
        metadata.clear()
        metadata.update(
            {
                "Runner Preflight": version(),
                "Context": escape(plain(gate.call.world.name)),
                "Digest": gate.call.world.digest,
                "Profile": gate.call.profile or "none (part run)",
            }
        )


class Page(SelfContainedReport):  # type: ignore[misc]  # pytest-html ships no types
    """pytest-html's report with a template, rows and a moment of our own: written once the verdict is known."""

    def __init__(self, config: pytest.Config, gate: Gate, also: Path | None) -> None:
        self.place = gate.call.reports / NAME
        super().__init__(str(self.place), config, ReportData(config), None, "")
        self.gate = gate
        self.also = also
        self.traces: dict[tuple[str, str], str] = {}
        self._report.set_data("renderCollapsed", ["all"])

    def said(self, text: str) -> str:
        return plain(ROOM(text))

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
                write(self.place, short(verdict.line, self.said(f"{why}. The verdict stands in verdict.json.")))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """pytest-html's line is not ours to print: the verdict is what is read last, and where reports go is known."""

    def _generate_report(self, *_args: Any, **_kwargs: Any) -> None:
        script, own = (
            (Path(pytest_html.__file__).parent / "resources" / "app.js").read_text("utf-8"),
            (HERE / "page.js").read_text("utf-8"),
        )
        for word, values in self._report.outcomes.items():
            values["label"] = LABELS.get(word, values["label"].lower())
        hashes = " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (script, own)
        )
        self._template = self._environment().get_template(
            "page.jinja2", globals={"scripts": [_ours(own), _ours(script)], "hashes": _ours(hashes)}
        )
        super()._generate_report()

    def _finalize(self, value: Any) -> Any:
        return self.said(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    def _environment(self) -> jinja2.Environment:
        return jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE),
            autoescape=True,
            finalize=self._finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )

    def _write_report(self, rendered_report: str) -> None:
        for path in filter(None, (self.place, self.also)):
            write(path, rendered_report)

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
        heads = (
            ("result", "Outcome"),
            ("testId", "Check"),
            ("runner", "Runner"),
            ("severity", "If broken"),
            ("duration", "Took"),
        )
        cells[:] = [
            f'<th scope="col" class="sortable" data-column-type="{key}" tabindex="0">{word}</th>' for key, word in heads
        ]

    def pytest_html_results_table_row(self, report: Any, cells: MutableSequence[str]) -> None:
        """Cells are markup to pytest-html's script, so every text is escaped here."""
        j: Judgement | None = getattr(report, "judgement", None)
        if j is None:
            cells[:] = [
                cells[0],
                self._td("testId", report.nodeid),
                self._td("runner", ""),
                self._td("severity", "is no check"),
                cells[2],
            ]
            return
        cells[:] = [
            self._td("result", f"{MARKS[j.outcome]} {j.outcome}", 'tabindex="0"'),
            self._td("testId", j.check.id),
            self._td("runner", j.runner or "production"),
            self._td("severity", j.check.severity),
            cells[2],
        ]

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
        parts = (
            ("promise", j.check.claim),
            ("saw", j.saw),
            ("try", j.try_),
            ("waived", waived),
            ("because", j.cause),
            ("", self.traces.get(j.key, "")),
        )
        data[:] = [escape(self.said(f"{name:<9}{text}" if name else f"\n{text}")) for name, text in parts if text]

    # What stands above it

    def pytest_html_results_summary(
        self,
        prefix: MutableSequence[Any],
        summary: MutableSequence[Any],
        postfix: MutableSequence[Any],
        session: pytest.Session,
    ) -> None:
        if verdict := self.gate.verdict:
            prefix.append(
                _ours(
                    self._environment()
                    .get_template("verdict.jinja2")
                    .render(**told(self.gate, verdict, self._config.rootpath, trends_of(self._config)), cut=self._cut)
                )
            )

    def _cut(self, text: str) -> str:
        shown = self.said(text[: LONGEST + SLACK])
        return f"{shown[:LONGEST]}\n… and {len(text) - LONGEST} characters more" if len(text) > LONGEST else shown
