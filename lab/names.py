"""The lab's name server: GitHub's names and production's lead into the lab, every other name leads nowhere.

    python -m lab.names --listen ADDRESS:PORT --zone FILE

It answers A questions over UDP from the zone file, which is read anew for each question, so that a fault is one write:

    {"names": {"github.com": "10.77.7.2", "*.actions.githubusercontent.com": "10.77.7.3"},
     "troubles": {"dns-nxdomain": {"mode": "nxdomain", "source": "10.77.7.11", "names": "github"}}}

A trouble strikes questions from `source` ("" is everyone) for names in which the regular expression `names` is found.
"""

import argparse
import ipaddress
import json
import re
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.world import GITHUB_NAMES, Lab, write

MODES = ("nxdomain", "servfail", "drop", "wrong")
WRONG_ADDRESS = "192.0.2.1"
"""What `wrong` answers: an address of documentation (RFC 5737), which nothing has."""
A, IN = 1, 1
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
LIFE = 5
"""Seconds that an answer may be kept."""


@dataclass(frozen=True)
class Trouble:
    """One fault of the name service. `mode` is one of MODES."""

    mode: str
    source: str = ""
    names: str = ""

    def strikes(self, source: str, name: str) -> bool:
        return self.source in ("", source) and re.search(self.names, name) is not None


@dataclass(frozen=True)
class Question:
    """The only question of a query. `raw` are its bytes, which the answer repeats."""

    id: int
    name: str
    kind: int
    raw: bytes


def question(packet: bytes) -> Question | None:
    """The question in a query; None for anything else, which gets no answer (RFC 1035 part 4.1)."""
    if len(packet) < 12:
        return None
    number, flags, count = struct.unpack_from("!HHH", packet)
    # An answer, or more than one question, is nobody's query.
    if flags & 0x8000 or count != 1:
        return None
    labels, at = [], 12
    while at < len(packet) and packet[at]:
        size = packet[at]
        if size > 63 or at + 1 + size > len(packet):
            return None
        labels.append(packet[at + 1 : at + 1 + size].decode("ascii", "replace").casefold())
        at += 1 + size
    if at + 5 > len(packet):
        return None
    kind, space = struct.unpack_from("!HH", packet, at + 1)
    return Question(number, ".".join(labels), kind, packet[12 : at + 5]) if space == IN else None


def answer(asked: Question, code: int, address: str = "") -> bytes:
    """The answer packet: recursion available, at most one address."""
    found = b""
    if address:
        # 0xC00C points back at the question's name.
        found = struct.pack("!HHHIH", 0xC00C, A, IN, LIFE, 4) + ipaddress.IPv4Address(address).packed
    return struct.pack("!HHHHHH", asked.id, 0x8180 | code, 1, bool(found), 0, 0) + asked.raw + found


def looked_up(names: Mapping[str, str], name: str) -> str | None:
    """The address of a name, by itself or by `*.` and any of its parents."""
    if name in names:
        return names[name]
    parts = name.split(".")
    return next((a for n in range(1, len(parts)) if (a := names.get(".".join(["*", *parts[n:]])))), None)


def reply(zone: Mapping[str, Any], source: str, packet: bytes) -> bytes | None:
    """What the server sends back to `source`; None for silence."""
    asked = question(packet)
    if asked is None:
        return None
    troubles = [Trouble(**each) for each in zone["troubles"].values()]
    mode = next((t.mode for t in troubles if t.strikes(source, asked.name)), "")
    if mode == "drop":
        return None
    if mode == "servfail":
        return answer(asked, SERVFAIL)
    address = looked_up(zone["names"], asked.name)
    if mode == "nxdomain" or address is None:
        return answer(asked, NXDOMAIN)
    if asked.kind != A:
        return answer(asked, NOERROR)
    return answer(asked, NOERROR, WRONG_ADDRESS if mode == "wrong" else address)


def zone_file(lab: Lab) -> Path:
    return lab.state / "zone.json"


def make_zone(lab: Lab, github: Mapping[str, str]) -> None:
    """Write the healthy zone. `github` gives the address of each group of GITHUB_NAMES."""
    names = {name: github[group] for group, members in GITHUB_NAMES.items() for name in members}
    names |= {"production.lab": lab.address, **{host.name: host.address for host in lab.hosts}}
    write(zone_file(lab), json.dumps({"names": names, "troubles": {}}, indent=1) + "\n")


def trouble(lab: Lab, name: str, how: Trouble | None) -> None:
    """Put the trouble `name` in place; None takes it away. It holds from the next question on."""
    zone = json.loads(zone_file(lab).read_text())
    zone["troubles"].pop(name, None)
    if how is not None:
        assert how.mode in MODES, how
        zone["troubles"][name] = asdict(how)
    write(zone_file(lab), json.dumps(zone, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.names", description="The lab's name server.")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--zone", required=True, type=Path, metavar="FILE")
    given = parser.parse_args()
    host, _, port = given.listen.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((host, int(port)))
        print(f"listening {given.listen}", flush=True)
        while True:
            packet, client = server.recvfrom(4096)
            said = reply(json.loads(given.zone.read_text()), client[0], packet)
            if said is not None:
                server.sendto(said, client)


if __name__ == "__main__":
    sys.exit(main())
