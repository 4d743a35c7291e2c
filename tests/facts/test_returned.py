"""Which release a rollback returned to, by the title of its run."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.facts.returned import remedy, returned, run_of, shown
from fixtures.facts.seen import Unseen
from tests.worlds import NEW, OLD, deployment, record

HEAD = "f" * 40
LINE = remedy(".github/workflows/rollback.yml", "version")
RUN: dict[str, Any] = {
    "id": 7,
    "event": "workflow_dispatch",
    "head_branch": "main",
    "display_title": f"Return to {OLD}",
}


def brought(**changes: Any) -> str:
    return returned({k: v for k, v in {**RUN, **changes}.items() if v != "absent"}, HEAD, "main", LINE)


@pytest.mark.parametrize(
    "title", [f"Return to {OLD}", OLD, f"INFRA-472: {OLD.upper()} (was 1.2)", f"{OLD}, and {OLD} it is", f"v1/{OLD}."]
)
def test_the_title_names_it(title: str) -> None:
    assert brought(display_title=title) == OLD
    assert brought(display_title=title, head_branch="v1.2") == OLD


@pytest.mark.parametrize(
    "title", ["", "Rollback", OLD[:12], OLD[:39], f"{OLD}0", f"sha256:{OLD}{'0' * 24}", f"{OLD} or {NEW}", "G" * 40]
)
def test_a_title_that_does_not_name_one_release_is_not_guessed(title: str) -> None:
    with pytest.raises(Unseen, match=r"which release rollback run 7 returned to: its title, .* names ") as unseen:
        brought(display_title=title)
    assert unseen.value.try_.startswith(
        "add `run-name: Return to ${{ inputs.version }}` to .github/workflows/rollback.yml"
    )


def test_what_was_ordered_on_a_tag_brought_that_tags_commit() -> None:
    assert brought(display_title="Rollback", head_branch="v1.2") == HEAD
    for untold in (None, "", "absent", 7):
        with pytest.raises(Unseen, match="no full sha"):
            brought(display_title="Rollback", head_branch=untold)
    with pytest.raises(Unseen, match="more than one release"):
        brought(display_title=f"{OLD} or {NEW}", head_branch="v1.2")


def test_only_a_dispatch_has_an_input_to_name_a_version_by() -> None:
    """The title of a push is its commit's message: anybody who commits could name a release there."""
    for event in ("push", "schedule", "workflow_run"):
        assert brought(event=event) == HEAD
        assert brought(event=event, display_title="Rollback") == HEAD


@pytest.mark.parametrize("key", ["id", "event", "display_title"])
def test_a_run_with_a_field_missing_is_unseen(key: str) -> None:
    spoilt: tuple[Any, ...] = ("absent", None, [])
    for value in spoilt:
        with pytest.raises(Unseen, match=key):
            brought(**{key: value})


@pytest.mark.parametrize(
    ("title", "shows"),
    [
        ("Return to ${{ inputs.version }}", True),
        ("${{ github.event.inputs.version }}", True),
        ("${{ INPUTS['Version'] || github.sha }}", True),
        ("${{ format('to {0}', inputs.version) }}", True),
        ("Return to inputs.version", False),
        ("${{ inputs.version-old }}", False),
        ("${{ inputs.versions }} of ${{ inputs.ver }}", False),
        ("${{ myinputs.version }}", False),
        ("${{ inputs.version", False),
        ("", False),
    ],
)
def test_a_run_name_shows_the_input_or_does_not(title: str, shows: bool) -> None:
    assert shown(title, "version") is shows


LINK = "https://github.com/acme/widgets/actions/runs/{}/job/9"


def test_the_run_of_a_deployment_is_that_of_its_success() -> None:
    failed = {"state": "failure", "log_url": LINK.format(5)}
    assert run_of([failed, {"state": "success", "log_url": LINK.format(7), "target_url": LINK.format(8)}]) == 7
    assert run_of([{"state": "success", "log_url": "", "target_url": LINK.format(8)}, failed]) == 8
    assert run_of([failed]) == run_of([]) == 0
    for link in (
        None,
        7,
        "",
        "https://example.com/deploy",
        "https://github.com/acme/widgets/runs/9?check_suite_focus=true",
    ):
        assert run_of([{"state": "success", "log_url": link}]) == 0
    with pytest.raises(Unseen, match="state"):
        run_of([{"log_url": LINK.format(7)}])


def hidden(number: int) -> Any:
    made = deployment(number, HEAD)
    return type(made)(made.id, made.sha, made.created, True, "which release run 7 returned to", LINE)


def test_what_production_runs_is_not_known_after_a_return_that_hides_it() -> None:
    found = record(deployments=(hidden(3), deployment(2, NEW), deployment(1, OLD)))
    for look in ("current", "last_good"):
        with pytest.raises(Unseen, match="which release run 7 returned to") as unseen:
            getattr(found, look)
        assert unseen.value.try_ == LINE
    assert repr(found) == "production runs what is not known; 3 deployments were looked at"


def test_an_older_return_that_hides_it_is_left_out() -> None:
    found = record(deployments=(deployment(4, NEW), hidden(3), deployment(2, NEW), deployment(1, OLD)))
    current, last_good = found.current, found.last_good
    assert current and last_good
    assert (current.id, last_good.id) == (4, 1)
