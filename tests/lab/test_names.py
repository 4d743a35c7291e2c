"""The lab's name server: what it answers, to whom, and what it does not answer at all."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lab import names
from lab.names import Trouble
from lab.world import ROOT, Lab

ZONE: dict[str, Any] = {
    "names": {
        "github.com": "10.77.7.2",
        "broker.actions.githubusercontent.com": "10.77.7.3",
        "*.actions.githubusercontent.com": "10.77.7.4",
    },
    "troubles": {},
}


def query(name: str, kind: int = names.A, number: int = 7) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, names.IN)


def read(packet: bytes | None) -> tuple[int, str]:
    """Code and address of an answer."""
    assert packet is not None
    number, flags, asked, found = struct.unpack_from("!HHHH", packet)
    assert (number, asked, flags & 0x8000) == (7, 1, 0x8000)
    return flags & 15, socket.inet_ntoa(packet[-4:]) if found else ""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("github.com", (0, "10.77.7.2")),
        ("GitHub.com", (0, "10.77.7.2")),
        ("broker.actions.githubusercontent.com", (0, "10.77.7.3")),
        ("pipelinesghubeus13.actions.githubusercontent.com", (0, "10.77.7.4")),
        ("actions.githubusercontent.com", (3, "")),
        ("www.github.com", (3, "")),
        ("example.com", (3, "")),
    ],
)
def test_only_the_worlds_own_names_are_known(name: str, says: tuple[int, str]) -> None:
    assert read(names.reply(ZONE, "10.77.7.11", query(name))) == says


def test_a_name_without_an_address_of_the_kind_exists_all_the_same() -> None:
    assert read(names.reply(ZONE, "10.77.7.11", query("github.com", kind=28))) == (0, "")


@pytest.mark.parametrize(
    ("mode", "says"), [("nxdomain", (3, "")), ("servfail", (2, "")), ("wrong", (0, names.WRONG_ADDRESS))]
)
def test_a_trouble_strikes_whom_it_names(mode: str, says: tuple[int, str]) -> None:
    zone = {**ZONE, "troubles": {"x": {"mode": mode, "source": "10.77.7.11", "names": "github"}}}
    assert read(names.reply(zone, "10.77.7.11", query("github.com"))) == says
    assert read(names.reply(zone, "10.77.7.12", query("github.com"))) == (0, "10.77.7.2")


def test_a_dropped_question_has_no_answer() -> None:
    zone = {**ZONE, "troubles": {"x": {"mode": "drop", "source": "", "names": "broker"}}}
    assert names.reply(zone, "10.77.7.11", query("broker.actions.githubusercontent.com")) is None
    assert names.reply(zone, "10.77.7.11", query("github.com")) is not None


@given(some.binary(max_size=80))
def test_no_packet_breaks_the_server(packet: bytes) -> None:
    said = names.reply(ZONE, "10.77.7.11", packet)
    assert said is None or said[:2] == packet[:2], "an answer bears the number of its question"


def test_an_answer_is_no_question() -> None:
    said = names.reply(ZONE, "10.77.7.11", query("github.com"))
    assert said is not None
    assert names.reply(ZONE, "10.77.7.11", said) is None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Lab, socket.socket]]:
    """A running server and a socket that is connected to it."""
    lab = Lab("nspawn", root=tmp_path)
    lab.state.mkdir()
    names.make_zone(lab, dict.fromkeys(("api", "broker", "actions", "results", "downloads"), "10.77.7.2"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-u", "-m", "lab.names", "--listen", f"127.0.0.1:{port}", "--zone"]
    process = subprocess.Popen([*command, str(names.zone_file(lab))], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with process, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        assert process.stdout is not None
        assert process.stdout.readline() == f"listening 127.0.0.1:{port}\n"
        client.connect(("127.0.0.1", port))
        client.settimeout(5)
        yield lab, client
        process.terminate()


def test_a_trouble_holds_from_the_next_question_on(server: tuple[Lab, socket.socket]) -> None:
    lab, client = server

    def asked() -> tuple[int, str]:
        client.send(query("ghcr.io"))
        return read(client.recv(512))

    assert asked() == (0, "10.77.7.2")
    names.trouble(lab, "x", Trouble("servfail", "127.0.0.1"))
    assert asked() == (2, "")
    client.send(b"\xff" * 30)
    names.trouble(lab, "x", None)
    assert asked() == (0, "10.77.7.2")
    assert json.loads(names.zone_file(lab).read_text())["troubles"] == {}
