"""Which jobs were judged as production's: in the terminal with -v, and on the page."""

from __future__ import annotations

from pathlib import Path

from fixtures import workflows as reader
from fixtures.facts.workflows import Workflows
from reports.jobs import Jobs, jobs
from tests.fixtures.workflow_samples import WORLD, files, job
from tests.reports.pages import NIGHT, gate, read
from tests.worlds import DEPLOY


def test_each_has_its_place_and_its_reason() -> None:
    other = job("b", on="{workflow_dispatch: {inputs: {to: }}}", runs_on="${{ fromJSON(vars.TO) }}")
    found = jobs(files(more={"other": other}), WORLD)
    assert found.rows[0] == (f"{DEPLOY}:12 job deploy", "the context declares it")
    assert (
        ".github/workflows/other.yml:4 job b",
        "it is not known whether it may run on a production runner: its runs-on is ${{ fromJSON(vars.TO) }}; vars.to: the value of the variable was not seen",
    ) in found.rows


def test_where_there_are_none_it_says_why() -> None:
    assert jobs(None, WORLD) == Jobs()
    assert jobs(Workflows("main", ()), WORLD).because == "no job of 0 workflow files"
    calls = "".join(f"  j{n}: {{uses: ./.github/workflows/b.yml}}\n" for n in range(300))
    many = {
        "a": f"on: push\njobs:\n{calls}",
        "b": "on: workflow_call\njobs:\n  x: {runs-on: a}\n  y: {runs-on: a}\n",
    }
    found = Workflows("main", tuple(reader.read(f".github/workflows/{name}.yml", text) for name, text in many.items()))
    assert "there are more than 500" in jobs(found, WORLD).because


def test_the_page_and_the_terminal_list_them(tmp_path: Path) -> None:
    ran = gate(tmp_path, f"--seen={NIGHT}", "--profile=nightly", "-v")
    place = ".github/workflows/rollback.yml:22 job rollback"
    assert f"    {place}: it deploys to production" in ran.stdout.splitlines()
    page = read((tmp_path / "report.html").read_text("utf-8"))
    assert f"{place}: it deploys to production" in [" ".join(tag.text.split()) for tag in page.named("li")]


def test_a_run_that_asks_for_no_workflow_lists_none(tmp_path: Path) -> None:
    ran = gate(tmp_path, f"--seen={NIGHT}", "-k", "disk-room", "-v")
    assert "judged as production's" not in ran.stdout
