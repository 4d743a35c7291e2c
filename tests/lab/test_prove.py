"""The proof compares what was broken with what a fault names, and nothing less."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from lab import image, prove, world
from lab.copy import copy_checkout
from lab.faults import break_lab, fault_named
from lab.process import LabError
from lab.prove import Part, difference, matrix
from lab.suite import Said
from lab.world import Host, Lab, Shape

HEALTH = "runner-health/online[prod-runner-01]"


def said(
    broken: Iterable[str] = (),
    unknown: Iterable[str] = (),
    crashed: Iterable[str] = (),
    word: str = "hold",
    runner: str = "",
) -> Said:
    checks = frozenset({"runner-health/online", "failover/standby-ready"})
    return Said(
        1, word, f"the line of {word}", runner, frozenset(broken), frozenset(unknown), frozenset(crashed), checks
    )


def test_exactly_what_is_named_is_right() -> None:
    assert difference(said({HEALTH}), frozenset({HEALTH}), frozenset()) == []


@pytest.mark.parametrize(
    ("got", "says"),
    [
        (said(), "not broken: "),
        (said({HEALTH, "failover/standby-ready"}), "broken too: failover/standby-ready"),
        (said({"runner-health/online[prod-runner-02]"}), "not broken: "),
        (said(set(), {HEALTH}), "unknown too: "),
        (said({HEALTH}, set(), {"pace/p95"}), "crashed too: pace/p95"),
        (said({HEALTH}, word="deploy", runner="prod-runner-01"), "and yet: "),
    ],
)
def test_everything_else_is_said(got: Said, says: str) -> None:
    assert any(line.startswith(says) for line in difference(got, frozenset({HEALTH}), frozenset()))


def test_the_matrix_has_a_row_a_fault_and_a_column_a_check() -> None:
    rows = matrix({"(healthy)": said(), "x": said({HEALTH}, {"failover/standby-ready"})}, "nspawn").splitlines()
    assert "| (healthy) |   |   |" in rows and "| x | ? | × |" in rows


def test_a_part_comes_back_as_it_went() -> None:
    part = Part("nspawn", {"x": said({HEALTH}, {"failover/standby-ready"})}, {"x": ["not broken: y"]})
    assert prove.from_json(prove.to_json(part)) == part


def test_several_labs_share_the_faults_and_the_worst_word_on_health_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[list[str]] = []

    def shown(names: list[str], wrong: list[str]) -> Part:
        shares.append(list(names))
        rows = {name: said() for name in ("(healthy)", *names, "(healed)")}
        return Part("nspawn", rows, {**{name: [] for name in rows}, "(healed)": wrong})

    monkeypatch.setattr(prove, "prove_here", lambda names: shown(names, []))
    monkeypatch.setattr(prove, "prove_in_copy", lambda _number, names: shown(names, ["broken too: z"]))
    whole = prove.prove_all(["a", "b", "c"], 2)
    assert sorted(shares) == [["a", "c"], ["b"]]
    assert list(whole.rows) == ["(healthy)", "a", "b", "c", "(healed)"]
    assert whole.wrong["(healed)"] == ["broken too: z"]


def test_labs_of_two_engines_prove_nothing_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "prove_here", lambda _names: Part("nspawn"))
    monkeypatch.setattr(prove, "prove_in_copy", lambda _number, _names: Part("loopback"))
    with pytest.raises(LabError, match="different engines"):
        prove.prove_all(["a", "b"], 2)


def test_what_needs_an_image_that_cannot_be_made_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_say: object, variant: str) -> Path:
        raise LabError(f"exit 1: mmdebstrap for {variant}\nE: no mirror")

    part = Part("nspawn", {"(healthy)": said()}, {"(healthy)": []})
    monkeypatch.setattr(image, "ensure", fails)
    prove.prove_on("docker", [fault_named("docker-dead"), fault_named("docker-hangs")], part, tmp_path)
    assert list(part.rows) == ["(healthy)"]
    assert prove.from_json(prove.to_json(part)) == part
    monkeypatch.setattr(prove, "prove_here", lambda _names: part)
    monkeypatch.setattr(world, "ROOT", tmp_path)
    (tmp_path / "reports/latest").mkdir(parents=True)
    part.rows["(healed)"], part.wrong["(healed)"] = said(), []
    assert prove.report(prove.prove_all(["docker-dead", "docker-hangs"], 1), False, 0.0) == 0
    told = capsys.readouterr().out
    assert "skipped docker-dead: no image with docker: exit 1: mmdebstrap for docker" in told
    assert "2 of 2 worlds" in told


def test_a_fault_of_docker_is_refused_where_no_host_has_it() -> None:
    host = Host("prod-runner-01", 1, "10.0.0.1", 22, "/opt/actions-runner", "runner", "audit", "u.service", Shape())
    with pytest.raises(LabError, match=r"docker-dead needs hosts with docker; try: python -m lab up --with docker"):
        break_lab(Lab("nspawn", hosts=(host,)), "docker-dead")


def test_a_copy_follows_the_checkout_and_keeps_its_own_state(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=source, check=True)
    (source / ".gitignore").write_text("ignored\n")
    for name in ("one", "ignored"):
        (source / name).write_text("1")
    (target / ".lab").mkdir(parents=True)
    (target / "old").write_text("old")
    copy_checkout(source, target)
    assert sorted(path.name for path in target.iterdir()) == [".gitignore", ".lab", "one"]
    with pytest.raises(LabError, match="git checkout"):
        copy_checkout(target / ".lab", tmp_path / "third")
