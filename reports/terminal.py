"""What a run says in a terminal: progress while it looks, one line a guarantee, the cards, the verdict last."""

from __future__ import annotations

import os
import textwrap
from typing import Any

import pytest
from _pytest.junitxml import xml_key
from _pytest.terminal import TerminalReporter
from _pytest.timing import Instant

from fixtures import watchcall
from fixtures.drilling import judges_drills, left_out
from fixtures.drills.note import said as left_behind
from fixtures.gate import Gate, gate_of
from fixtures.look import Waiting
from fixtures.verdict import Verdict
from reports.annotations import Quiet, annotated
from reports.cards import MARKS, Card, cards, lines, names, notes, one_line, plain, some
from reports.gaps import shown
from reports.jobs import jobs
from reports.live import Live
from reports.machines import trends_of
from reports.told import seen

FROM_WORKFLOWS = frozenset({"serialization", "failover", "rollback", "secret-masking"})
COLOURS = {"√": "green", "×": "red", "?": "yellow", "!": "red", "~": "yellow"}


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    gate = gate_of(config)
    usual = config.pluginmanager.get_plugin("terminalreporter")
    if gate and not gate.worker and usual is not None:
        config.pluginmanager.unregister(usual)
        config.pluginmanager.register(Terminal(config, gate), "terminalreporter")


class Terminal(TerminalReporter):  # type: ignore[misc]  # pytest marks it final, and gives no other way to say less
    """pytest's reporter, without dots, tracebacks and counts: the verdict is what is read."""

    def __init__(self, config: pytest.Config, gate: Gate) -> None:
        super().__init__(config)
        self.gate = gate
        self.quiet = Quiet(os.environ, self.write_line)
        self.live = Live(self._tw, self.isatty() and self.hasmarkup)

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session
        self._session_start = Instant()
        self.quiet.stop()
        # First of all, and in a quiet run too: a runner may stand still because of it.
        if left := left_behind(self.config.rootpath, self.gate.call.world.name):
            self.write_line(plain(left))
        if self.verbosity >= 0:
            call = self.gate.call
            what = f"profile {call.profile}" if call.profile else "drills" if judges_drills(self.config) else "part run"
            what = "watch" if watchcall.watches(self.config) else what
            self.write_line(plain(f"Runner Preflight: {call.world.name}, {call.world.github.repository}, {what}"))
            if call.reports.name.startswith("latest-"):
                self.write_line(
                    plain(f"another run is at reports/latest; this one writes to reports/{call.reports.name}")
                )

    def pytest_collection(self) -> None:
        return None

    def report_collect(self, final: bool = False) -> None:
        return None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.config.option.collectonly:
            self._printcollecteditems(session.items)

    def pytest_preflight_waiting(self, config: pytest.Config, waiting: Waiting) -> None:
        if self.verbosity >= 0:
            self.live.show(waiting)

    def pytest_preflight_progress(self, config: pytest.Config, line: str) -> None:
        if self.verbosity >= 0:
            self.write_line(plain(line))

    def pytest_preflight_seen(self, config: pytest.Config, summary: str) -> None:
        self.live.clear()
        if self.verbosity >= 0:
            self.write_line(plain(summary))

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        return None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        category, _, _ = self.config.hook.pytest_report_teststatus(report=report, config=self.config)
        if category:
            self._add_stats(category, [report])

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        return None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Any:
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: Any) -> Any:
        result = yield
        if self.verbosity >= 0 and self.gate.unloadable:
            self.summary_errors()
        if self._keyboardinterrupt_memo:
            self._report_keyboardinterrupt()
        if self.verbosity >= 0:
            # JUnit is always written; where it is needs no line.
            silent = [plugin for plugin in (self.config.stash.get(xml_key, None),) if plugin]
            summary = self.config.pluginmanager.subset_hook_caller("pytest_terminal_summary", silent)
            summary(terminalreporter=self, exitstatus=exitstatus, config=self.config)
        verdict = self.gate.verdict
        if verdict is None:
            self.write_line("? do not deploy: there is no verdict")
            return result
        for line in self.gate.plan or ():
            self.write_line(plain(line))
        if self.verbosity >= 0:
            self.judged(verdict)
        for annotation in annotated(verdict.judgements):
            self.quiet.command(annotation.command())
        self.say(verdict)
        return result

    def pytest_unconfigure(self) -> None:
        self.quiet.resume()

    def pytest_terminal_summary(self) -> Any:
        return None

    def judged(self, verdict: Verdict) -> None:
        if verdict.judgements:
            self.write_line("")
        for line in lines(verdict.judgements):
            self.write(f"{line.mark} ", **{COLOURS.get(line.mark, "white"): True})
            self.write_line(self._fitting(f"{line.guarantee:<15} {line.held:>2} of {line.of:<2}  {line.promise}"))
        for note in notes(verdict.judgements, self.gate.call.world):
            self._note(note)
        for run in trends_of(self.config).overrides:
            self._note(f"overridden in the last 30 days: {run.told}")
        if mended := trends_of(self.config).mended:
            self.write_line(plain(f"- mended since it was last judged: {some(mended)}"))
        if self.verbosity > 0:
            self.quiet.command("::group::Every check")
            self.every(verdict)
            self.quiet.command("::endgroup::")
        for card in cards(verdict):
            self.card(card)
        self.write_line("")

    def _note(self, note: str) -> None:
        for row in textwrap.wrap(one_line(f"- {note}"), self._width(), subsequent_indent="  ", break_on_hyphens=False):
            self.write_line(row)

    def every(self, verdict: Verdict) -> None:
        self.write_line("")
        for j in verdict.judgements:
            saw = f": {one_line(j.saw)}" if j.saw else ""
            self.write_line(plain(f"  {MARKS[j.outcome]} {j.name} {j.outcome}{saw}"))
        if not FROM_WORKFLOWS & {j.check.guarantee for j in verdict.judgements}:
            return
        told = jobs(seen(self.gate, "workflows"), self.gate.call.world)
        if told.rows or told.because:
            self.write_line("")
            self.write_line(plain(f"  judged as production's: {told.because or f'{len(told.rows)} jobs'}"))
        for place, because in told.rows:
            self.write_line(plain(f"    {place}: {one_line(because)}"))
        for each in shown(seen(self.gate, "canaries")):
            self.write_line(plain(f"  the canary on {one_line(repr(each))}"))

    def card(self, card: Card) -> None:
        j = card.judgement
        self.write_line("")
        self.write(f"{card.mark} ", bold=True, **{COLOURS.get(card.mark, "white"): True})
        trend = trends_of(self.config).word((j, *card.alike))
        self.write_line(plain(f"{card.title}, {j.outcome}, {card.weight}{f', {trend}' if trend else ''}"), bold=True)
        if card.alike:
            self._part("checks", names(card.all))
        else:
            self._part("promise", j.check.claim)
        self._part("saw", card.saw)
        for effect in card.effects:
            self._part("with it", f"{effect.name}: {effect.saw}")
        if j.waiver:
            self._part("waived", f"{j.waiver.reason} ({j.waiver.by}, {j.waiver.ticket}, until {j.waiver.until})")
        if card.folded:
            self._part(
                "so",
                f"{len(card.folded)} more checks of {j.runner} could not be judged: {', '.join(f.check.id.split('/')[1] for f in card.folded)}",
            )
        self._part("why", card.page)
        if j.try_:
            # Never wrapped: it is there to be pasted.
            self.write_line(plain(f"    {'try':<8}{one_line(j.try_)}"))

    def _fitting(self, row: str) -> str:
        """A row beside its mark; on a screen it is cut where the screen ends, in a log it is whole."""
        room = self._tw.fullwidth - 3
        return row if not self.isatty() or len(row) <= room else f"{row[: room - 1]}…"

    def _width(self) -> int:
        return max(34, min(110, self._tw.fullwidth))

    def _part(self, name: str, text: str) -> None:
        """Sentences are wrapped; rows that begin with a space are somebody's file, and stay as they stand there."""
        width = self._width() - 12
        wrapped: list[str] = []
        for row in plain(text).splitlines() or [""]:
            if row.startswith(" "):
                wrapped.append(row.rstrip())
            else:
                wrapped += textwrap.wrap(one_line(row), width, break_on_hyphens=False)
        wrapped = wrapped or [""]
        self.write_line(f"    {name:<8}{wrapped[0]}")
        for rest in wrapped[1:]:
            self.write_line(f"    {'':<8}{rest}")

    def say(self, verdict: Verdict) -> None:
        if verdict.code == 5:
            self.write_line(plain(self._nothing()))
        colour = COLOURS.get(verdict.line[:1], "white") if verdict.word != "part" else "white"
        self.write_line(one_line(verdict.line), bold=True, **{colour: True})

    def _nothing(self) -> str:
        option = self.config.option
        asked = " ".join(
            f"{flag} {value!r}" for flag, value in (("-k", option.keyword), ("-m", option.markexpr)) if value
        )
        if watchcall.watches(self.config):
            return "no runner had, or will have, anything to do in this run"
        if (left := left_out(self.config)) == [watchcall.CHECK]:
            return f"{asked} selects {watchcall.CHECK}, which watches a run: add --watch RUN"
        if left:
            return f"{asked or 'this call'} selects {some(left)}: drills, which act on the world; add --drill"
        return f"{asked or 'this call'} selects none of {self.gate.total} checks; `pytest --co -q` lists them"
