"""Rules 3, 4 and 7 of the verdict in small worlds: which runner is chosen, who else could take the job, what is forgiven."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gate import REPOSITORY, GitHub, Ran, Tree, day, runner, waiver

DISK = "runner-health/disk-room"
# A check of each runner, whose answer each test writes.
DISK_ROOM = '''
import pytest
from checks.guarantees import RUNNER_HEALTH, verifies
from fixtures.facts.seen import NotApplicable, Unseen


@verifies(RUNNER_HEALTH, "disk-room", severity="blocks", when="quick", per="runner", remedy="ssh {{runner.host}} df -h")
def test_disk_room(runner):
    """There is room."""
    if runner.name in {names!r}:
        {body}
'''


def disk(tree: Tree, body: str, *names: str) -> None:
    tree.write("checks/test_disk.py", DISK_ROOM.format(names=names, body=body))


FULL = "assert False, f'the disk of {runner} is full'"
BLIND = "raise Unseen(f'the disk of {runner}')"


def said(ran: Ran) -> tuple[int, str, str]:
    return ran.code, ran.line, str(ran.verdict["runner"])


def test_failover(tree: Tree) -> None:
    """The primary is broken, the standby is fit: the job goes there, and the line says why."""
    disk(tree, FULL, "prod-1")
    ran = tree.gate()
    assert said(ran) == (0, f"√ deploy on prod-2 (failover: prod-1 fails {DISK})", "prod-2"), ran.output
    assert ran.verdict["runs-on"] == ["self-hosted", "prod-2"]
    assert ran.verdict["fit"] == {"prod-1": f"broken: {DISK}", "prod-2": "fit"}


def test_unknown_primary_never_fails_over(tree: Tree) -> None:
    """Not to see the primary is no reason to leave it."""
    disk(tree, BLIND, "prod-1")
    assert said(tree.gate()) == (
        1,
        f"? do not deploy: could not see whether the primary is fit: prod-1 is unknown in {DISK}",
        "",
    )


def test_unknown_standby_costs_nothing_until_it_is_needed(tree: Tree, github: GitHub) -> None:
    """A fit primary deploys beside it; a broken one may not be handed to it."""
    disk(tree, BLIND, "prod-2")
    assert said(tree.gate()) == (0, "√ deploy on prod-1", "prod-1")
    github.runners = github.runners[1:]
    ran = tree.gate()
    assert (ran.code, ran.word) == (1, "unknown")
    assert f"prod-2 is unknown in {DISK}" in ran.line


def test_both_broken(tree: Tree) -> None:
    """No approved runner is fit."""
    disk(tree, FULL, "prod-1", "prod-2")
    ran = tree.gate()
    assert said(ran) == (1, f"× do not deploy: no approved runner is fit: prod-1 fails {DISK}; prod-2 fails {DISK}", "")


def test_busy_primary(tree: Tree, github: GitHub) -> None:
    """It holds or waits, as the context says; an idle standby does not tempt."""
    github.register("prod-1", busy=True)
    assert said(tree.gate()) == (1, "× do not deploy: prod-1 is fit but busy; wait for its job to end", "")
    tree.world["busy"] = "wait"
    assert said(tree.gate()) == (0, "√ deploy on prod-1 (it is busy; the job will wait for it)", "prod-1")


def test_own_job_makes_nobody_busy(tree: Tree, github: GitHub) -> None:
    """The gate that runs on the primary itself does not wait for itself."""
    github.register("prod-1", busy=True)
    ran = tree.gate(env={"RUNNER_NAME": "PROD-1"})
    assert said(ran) == (0, "√ deploy on prod-1", "prod-1")


def test_busy_standby(tree: Tree, github: GitHub) -> None:
    """A failover waits for nobody."""
    github.register("prod-2", busy=True)
    disk(tree, FULL, "prod-1")
    assert said(tree.gate()) == (1, f"× do not deploy: prod-1 fails {DISK}, and prod-2 is busy", "")


def test_choice_binds(tree: Tree, github: GitHub) -> None:
    """Two runners with the same labels: both must be fit, or the job could land on the one that is not."""
    shared = ["self-hosted", "production"]
    tree.world["runners"] = [
        runner("prod-1", labels=shared, runs_on=shared),
        runner("prod-2", "secondary", labels=shared, runs_on=shared),
    ]
    assert said(tree.gate()) == (0, "√ deploy on prod-1", "prod-1")
    disk(tree, FULL, "prod-2")
    ran = tree.gate()
    assert said(ran) == (
        1,
        "× do not deploy: failover/choice-binds: [self-hosted, production] can also be taken by prod-2, which is not fit",
        "",
    )
    assert ran.outcomes()["failover/choice-binds"] == "broken"


@pytest.mark.parametrize("name", ["stranger", "PROD-3"])
def test_stranger(tree: Tree, github: GitHub, name: str) -> None:
    """Whoever else wears the labels, and is not approved for it."""
    tree.world["runners"].append(runner("prod-3", "secondary", approved=None))
    github.register(name, labels=("Self-Hosted", "PROD-1", "more"))
    ran = tree.gate()
    assert (ran.code, ran.word) == (1, "hold")
    assert "failover/choice-binds" in ran.line


@pytest.mark.parametrize(
    ("primary", "secondary", "code", "line"),
    [
        (-1, 100, 0, "√ deploy on prod-2 (failover: prod-1 is not approved)"),
        (0, 0, 0, "√ deploy on prod-1"),
        (-1, -1, 1, "× do not deploy: no runner of small is approved; renew `approved` in the context"),
    ],
)
def test_approvals_end(tree: Tree, primary: int, secondary: int, code: int, line: str) -> None:
    """An approval holds through its last day; who is not approved is not even judged."""
    for given, last in zip(tree.world["runners"], (primary, secondary), strict=True):
        given["approved"]["until"] = day(last)
    ran = tree.gate()
    assert said(ran)[:2] == (code, line), ran.output
    judged = {j["runner"] for j in ran.verdict["checks"]} - {""}
    assert judged == {name for name, last in (("prod-1", primary), ("prod-2", secondary)) if last >= 0}
    assert len(ran.verdict["checks"]) == 2 + 2 * len(judged)


def silent(tree: Tree, *names: str) -> None:
    """These runners' hosts refuse the connection."""
    tree.write("contexts/ssh_config", "Host *\n  HostName 127.0.0.1\n  Port 1\n")
    tree.world["ssh"] = {"config": "ssh_config"}
    for given in tree.world["runners"]:
        given["connection"] = "ssh" if given["name"] in names else "local"


def test_one_host_is_silent(tree: Tree) -> None:
    """Another host answered, so it is not our network: the runner is broken, and the rest is folded under it."""
    silent(tree, "prod-1")
    disk(tree, BLIND, "prod-1")
    ran = tree.gate()
    assert said(ran) == (0, "√ deploy on prod-2 (failover: prod-1 fails runner-health/reachable)", "prod-2"), ran.output
    causes = {(j["check"], j["runner"]): j["cause"] for j in ran.verdict["checks"]}
    assert causes[DISK, "prod-1"] == "runner-health/reachable[prod-1]"
    assert ran.output.count("runner-health/reachable[prod-1], broken") == 1
    assert f"{DISK}[prod-1], unknown" not in ran.output


def test_standby_is_silent(tree: Tree) -> None:
    """That is the standby's misfortune."""
    silent(tree, "prod-2")
    assert said(tree.gate()) == (0, "√ deploy on prod-1", "prod-1")


def test_all_hosts_are_silent(tree: Tree) -> None:
    """Then it may be our own network: unknown, no failover, nobody blamed."""
    silent(tree, "prod-1", "prod-2")
    ran = tree.gate()
    assert said(ran) == (1, "? do not deploy: could not see any host of small; it may be our own network", "")
    assert "broken" not in ran.outcomes().values()


def test_github_is_silent(tree: Tree, github: GitHub) -> None:
    """Without the registrations nobody knows who would take the job."""
    github.hidden.add(f"{REPOSITORY}/actions/runners")
    ran = tree.gate()
    assert (ran.code, ran.word) == (1, "unknown")


def test_verdict_asks_for_itself(tree: Tree, github: GitHub) -> None:
    """Where no check needs GitHub, the verdict does: who could take the job is looked at all the same."""
    text = (tree.path / "checks" / "test_small.py").read_text("utf-8")
    kept = text[: text.index("@verifies", text.index("def test_reachable"))] + text[text.rindex("@verifies") :]
    tree.write("checks/test_small.py", kept)
    assert said(tree.gate()) == (0, "√ deploy on prod-1", "prod-1")
    assert [path.split("?")[0] for path in github.asked].count(f"{REPOSITORY}/actions/runners") == 1
    github.register("stranger", labels=("self-hosted", "prod-1"))
    assert tree.gate().word == "hold"
    github.hidden.add(f"{REPOSITORY}/actions/runners")
    assert said(tree.gate()) == (1, "? do not deploy: could not see who could take the job", "")


CUT = "serialization/never-cut"


def test_waiver_forgives_what_is_broken(tree: Tree) -> None:
    """And the line counts it, with a card that says who and why."""
    tree.check('assert False, "cut"')
    assert tree.gate().word == "hold"
    tree.world["waivers"] = [waiver(CUT)]
    ran = tree.gate()
    assert said(ran) == (0, "√ deploy on prod-1, 1 waived", "prod-1"), ran.output
    assert ran.outcomes()[CUT] == "waived"
    assert f"{CUT}, waived" in ran.output
    assert "known (owner, INFRA-2, until" in ran.output


@pytest.mark.parametrize(
    ("body", "given", "code", "outcome"),
    [
        ('raise Unseen("it")', {}, 1, "unknown"),
        ("pytest.skip()", {}, 1, "unknown"),
        ('{}["lock"]', {}, 3, "crashed"),
        ("assert False", {"until": day(-1)}, 1, "broken"),
        ("assert False", {"runner": "prod-1"}, 1, "broken"),
    ],
    ids=["unknown", "skipped", "crashed", "expired", "for a runner only"],
)
def test_waiver_forgives_nothing_else(tree: Tree, body: str, given: dict[str, Any], code: int, outcome: str) -> None:
    """Not what could not be seen, not what crashed, not after its last day, not another's."""
    tree.check(body)
    tree.world["waivers"] = [waiver(CUT, **given)]
    ran = tree.gate()
    assert (ran.code, ran.outcomes()[CUT], ran.verdict["runner"]) == (code, outcome, ""), ran.output


def test_waiver_for_one_runner(tree: Tree) -> None:
    """It does not reach the other."""
    disk(tree, FULL, "prod-1", "prod-2")
    tree.world["waivers"] = [waiver(DISK, runner="prod-2")]
    assert said(tree.gate()) == (0, f"√ deploy on prod-2 (failover: prod-1 fails {DISK}), 1 waived", "prod-2")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (waiver("serialization/one-lock"), "serialization/one-lock cannot be waived"),
        (waiver("serialization/never-cutt"), f"no such check as 'serialization/never-cutt'; did you mean \"{CUT}\"?"),
        (waiver(CUT, until=day(40)), "at most 30"),
        (waiver(CUT, runner="prod-9"), "no such runner here"),
    ],
    ids=["unwaivable", "unknown check", "too long", "unknown runner"],
)
def test_waiver_that_is_refused(tree: Tree, given: dict[str, Any], says: str) -> None:
    """Exit 4 with file and line: a waiver that can forgive nothing is a wrong context."""
    tree.check("assert True")
    tree.world["waivers"] = [given]
    ran = tree.gate()
    assert (ran.code, ran.word) == (4, "unknown")
    lines = (tree.path / "contexts" / "small.yml").read_text("utf-8").splitlines()
    first = lines.index("waivers:") + 2
    assert any(f"contexts/small.yml:{line}: waivers[0]" in ran.output for line in range(first, len(lines) + 1)), (
        ran.output
    )
    assert says in ran.output
