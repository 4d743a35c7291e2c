"""A host that says again what it said, in the words of whoever asks now."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from fixtures.facts.seen import Output
from fixtures.probe import Section, parse, script
from lab import apart

OLD, NEW = "ab" * 16, "cd" * 16
SECTIONS = [Section("s", "echo out; echo err >&2; exit 3"), Section("bytes", r"printf 'a\000\377'")]


def test_the_answer_is_the_recorded_one_to_the_new_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "PLACE", str(tmp_path))
    recorded = b""
    with subprocess.Popen(["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as first:
        assert first.stdin
        assert first.stdout
        first.stdin.write(script(SECTIONS, 5, OLD).encode())
        # Its stdin stays open until it has said all: the end of it is the order to stop
        while f"@{OLD} end".encode() not in recorded:
            recorded += first.stdout.read(1 << 16)
    (tmp_path / "answer").write_bytes(recorded)
    began = time.time()
    done = subprocess.run(
        ["sh", "-c", apart.again(OLD, 0.3)], input=script(SECTIONS, 5, NEW).encode(), capture_output=True, check=False
    )
    epoch, said = parse(done.stdout, NEW, SECTIONS)
    assert epoch is not None
    assert epoch >= began + 0.3
    assert parse(recorded, OLD, SECTIONS)[1] == said
    assert (said["s"].code, said["s"].out, said["s"].err) == (3, "out\n", "err\n")
    assert said["bytes"] == Output("done", 0, "a\0\\xff", "", said["bytes"].seconds)
