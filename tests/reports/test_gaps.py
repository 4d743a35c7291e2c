"""What each runner's canary showed: on the page and, with -v, in the terminal. A known gap is no fault, and news is no fault."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from fixtures.facts.canary import Canaries, Matrix, Sighting, State, promised, unpromised
from reports.gaps import shown
from tests.reports.pages import HEALTHY, gate, read, verdict
from tests.worlds import NOW

CLEAR: dict[str, State] = dict.fromkeys(unpromised(7, 1), "clear")
MASKED: dict[str, State] = dict.fromkeys(promised(7, 1), "masked")


def of(ours: Mapping[str, State], others: Mapping[str, State]) -> Canaries:
    return Canaries(NOW, "canary.yml", True, {"prod-1": Sighting("prod-1", "https://x", NOW - timedelta(days=1), Matrix(7, 1, ours, others))})  # fmt: skip


def test_every_form_is_told_as_what_it_is() -> None:
    ours, others = {**MASKED, "json": "clear", "url": "missing"}, {**CLEAR, "hex": "masked", "base32": "missing"}
    (found,) = shown(of(ours, others))
    assert (found.masked, found.promised) == (len(MASKED) - 2, len(MASKED))
    assert (found.leaks, found.news, found.lost) == (("json",), ("hex",), ("url", "base32"))
    assert set(found.gaps) == CLEAR.keys() - {"hex", "base32"}
    assert "in clear: json; known gaps: base64-newline/1" in repr(found)
    assert "masked though nobody promises it: hex" in repr(found)


def test_without_a_canary_there_is_nothing() -> None:
    assert shown(None) == ()
    assert shown(Canaries(NOW, "canary.yml", True, {})) == ()


def canaries(value: Any) -> Iterator[dict[str, Any]]:
    """Every matrix in a recording."""
    if isinstance(value, dict):
        if "unpromised" in value:
            yield value
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from canaries(inner)


def reread(page: Path) -> list[str]:
    return [" ".join(tag.text.split()) for tag in read(page.read_text("utf-8")).named("details")]


def test_the_page_states_the_known_gaps(tmp_path: Path) -> None:
    ran = gate(tmp_path, f"--seen={HEALTHY}", "--profile=nightly", "-v")
    told = [text for text in reread(tmp_path / "report.html") if "known gaps" in text]
    assert len(told) == 2
    for text in told:
        assert f"{len(MASKED)} of {len(MASKED)} promised forms masked, {len(CLEAR)} known gaps" in text
        assert all(form in text for form in CLEAR)
        assert "news" not in text
    assert sum(line.startswith("  the canary on prod-runner-0") for line in ran.stdout.splitlines()) == 2


def test_a_gap_that_a_runner_closes_is_news_and_no_failure(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    shutil.copytree(HEALTHY, seen)
    path = seen / "github.json"
    text = path.read_text("utf-8")
    answers = json.loads(text)
    changed = [body["unpromised"] for body in canaries(answers)]
    assert changed
    for forms in changed:
        forms["hex"] = "masked"
    path.write_text(json.dumps(answers), "utf-8")
    gate(tmp_path / "reports", f"--seen={seen}", "--profile=nightly")
    told = [text for text in reread(tmp_path / "reports" / "report.html") if "known gaps" in text]
    assert all(re.search(r"news: masked though nobody promises it ?hex\b", text) for text in told)
    outcomes = {c["check"]: c["outcome"] for c in verdict(tmp_path / "reports")["checks"]}
    assert outcomes["secret-masking/canary-masked"] == "held"


def test_a_run_that_asks_for_no_canary_shows_none(tmp_path: Path) -> None:
    ran = gate(tmp_path, f"--seen={HEALTHY}", "-k", "disk-room", "-v")
    assert "canary" not in ran.stdout
