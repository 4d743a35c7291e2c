"""The machine's own setting is raised by the first lab that needs it, and put back by the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import kernel


@pytest.fixture
def limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "max_user_instances"
    file.write_text("128\n")
    monkeypatch.setattr(kernel, "LIMIT", file)
    monkeypatch.setattr(kernel, "NOTE", tmp_path / "runner-preflight-lab.inotify")
    return file


def test_the_last_lab_puts_it_back(limit: Path) -> None:
    one, other = limit.parent / "runner-preflight-lab-1", limit.parent / "runner-preflight-lab-2"
    one.mkdir()
    kernel.raise_limit()
    assert int(limit.read_text()) == kernel.ENOUGH
    other.mkdir()
    kernel.raise_limit()
    one.rmdir()
    kernel.restore_limit()
    assert int(limit.read_text()) == kernel.ENOUGH, "the other lab still needs it"
    other.rmdir()
    kernel.restore_limit()
    assert limit.read_text() == "128\n"
    assert not kernel.NOTE.exists()


def test_a_kill_between_note_and_change_is_put_right(limit: Path) -> None:
    kernel.NOTE.write_text("128\n")
    kernel.raise_limit()
    kernel.raise_limit()
    kernel.restore_limit()
    assert limit.read_text() == "128\n"


def test_a_machine_with_enough_is_left_alone(limit: Path) -> None:
    limit.write_text("8192\n")
    kernel.raise_limit()
    kernel.restore_limit()
    assert limit.read_text() == "8192\n"
    assert not kernel.NOTE.exists()
