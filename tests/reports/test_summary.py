"""summary.md and the annotations: what people read in GitHub Actions, and what hostile text cannot do there."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from fixtures.verdict import Verdict
from reports import summary
from reports.annotations import MOST, Annotation, Quiet, annotated
from reports.history import Trends
from reports.told import Cell
from tests.fixtures.runs import case, world
from tests.reports.hostile import BROKEN, PAYLOADS

PLACE = ".github/workflows/deploy.yml:12 takes no lock\n    > 12 | deploy:"


def verdict(saw: str = "no room", **outcomes: Any) -> Verdict:
    judged = case(**(outcomes or {"disk_room": "broken"})).judged()
    return replace(judged, judgements=tuple(replace(j, saw=saw) if not j.holds else j for j in judged.judgements))


TOLD: dict[str, Any] = {"recording": "", "expires": "", "matrix": [], "runners": [], "facts": [("Context", "small")]}


def page(said: Verdict, trends: Trends | None = None, room: int = summary.LIMIT) -> str:
    return summary.text(TOLD, world(), said, trends or Trends({}, ()), room)


def test_verdict_first_then_a_card_for_what_does_not_hold() -> None:
    said = verdict()
    text = page(said, Trends({"runner-health/disk-room[prod-1]": "new"}, ("pace/p95",)))
    assert text.startswith(f"## `{said.line}`\n")
    assert "### × `runner-health/disk-room[prod-1]`, broken, blocks, new" in text
    assert "Mended since the run before: `pace/p95`." in text
    assert "```text\nno room\n```" in text
    assert "contexts/runner-health.md#disk-room" in text


def outside(text: str) -> str:
    """A summary without its code blocks and code spans: what Markdown would act on."""
    text = re.sub(r"^(`{3,})text\n.*?\n\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", text)


@pytest.mark.parametrize("payload", [*PAYLOADS, *BROKEN])
def test_what_a_host_said_stays_in_code(payload: str) -> None:
    said = replace(verdict(payload), line=f"× do not deploy: {payload}")
    text = page(said)
    rest = outside(text)
    for act in (
        "<script",
        "<img",
        "<b>",
        "](http",
        "](javascript",
        "# heading",
        "@somebody",
        "::set-output",
        "\x1b",
        "\x00",
    ):
        assert act not in rest, act
    assert rest.count("</details>") == 1
    text.encode()


def test_a_name_ends_no_cell_of_the_table() -> None:
    told = {**TOLD, "matrix": [("pace", "a promise", [Cell("held", "1 held")])], "runners": [("a|b", "primary", "fit")]}
    rows = [row for row in summary.text(told, world(), verdict(), Trends({}, ())).splitlines() if row.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)\|", row)) for row in rows[:2]]
    assert bars == [4, 4]


def test_it_is_cut_with_grace_where_there_is_little_room() -> None:
    said = verdict("x" * 3900, disk_room="broken", never_cut="broken", one_lock="unknown", p95="broken")
    text = page(said, room=10_000)
    assert len(text.encode()) <= 10_000
    assert text.startswith(f"## `{said.line}`")
    assert "3 more cards do not fit here" in text
    assert text.rstrip().endswith("</details>")
    assert page(said, room=0) == ""


def test_a_finding_is_annotated_at_its_line() -> None:
    (one,) = annotated(verdict(PLACE, never_cut="broken").judgements)
    assert (
        one.command()
        == "::error file=.github/workflows/deploy.yml,line=12,title=serialization/never-cut::takes no lock"
    )
    (unsure,) = annotated(verdict(PLACE, never_cut="unknown").judgements)
    assert unsure.command().startswith("::warning ")
    assert annotated(verdict("no file is named here").judgements) == []


def test_no_more_annotations_than_github_shows() -> None:
    rows = "\n".join(f".github/workflows/deploy.yml:{n} is odd" for n in range(1, 40))
    assert len(annotated(verdict(rows, never_cut="broken").judgements)) == MOST


@pytest.mark.parametrize("payload", PAYLOADS)
def test_an_annotation_is_one_command(payload: str) -> None:
    first = payload.splitlines()[0] if payload.splitlines() else ""
    for one in annotated(
        verdict(
            f".github/workflows/a,b.yml:3 {payload}\n.github/workflows/{first}.yml:4 x", never_cut="broken"
        ).judgements
    ):
        line = one.command()
        assert "\n" not in line
        assert "\x1b" not in line
        assert re.fullmatch(r"::error file=[^,:]*,line=\d+,title=[^,:]*::.*", line)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_whatever_stands_in_an_annotation_it_stays_one_line(payload: str) -> None:
    line = Annotation(payload, 3, payload, payload, True).command()
    assert line.startswith("::error file=")
    assert len(line.splitlines()) == 1


def test_commands_are_stopped_but_for_ours() -> None:
    said: list[str] = []
    quiet = Quiet({"GITHUB_ACTIONS": "true"}, said.append)
    quiet.stop()
    quiet.command("::group::x")
    quiet.resume()
    token = said[0].removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert said[1:] == [f"::{token}::", "::group::x", said[0], f"::{token}::"]
    assert Quiet({"GITHUB_ACTIONS": "true"}, said.append)._token != token


def test_elsewhere_nothing_is_printed() -> None:
    said: list[str] = []
    quiet = Quiet({}, said.append)
    quiet.stop()
    quiet.command("::group::x")
    quiet.resume()
    assert said == []
