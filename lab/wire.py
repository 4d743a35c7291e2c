"""A wire between two network interfaces that holds every frame back for a while, and loses some.

    python -m lab.wire --delay MS --loss PERCENT ONE OTHER

`--delay` is for each direction; losses are drawn, since a regular pattern can strike every repetition of one packet.
It is what `tc … netem` does, for kernels without it.
"""

import argparse
import random
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
LARGEST = 1 << 17
"""More than the largest frame before segmentation, 64 KiB."""


def opened(interface: str) -> socket.socket:
    """A socket for whole frames, each behind the header that says what the sender left to the hardware.

    Without that header checksums are unfinished and large segments uncut: ping would work and TCP would not.
    """
    found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    found.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    found.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    found.bind((interface, ETH_P_ALL))
    return found


def frames(end: socket.socket, room: memoryview) -> Iterator[bytes]:
    """All that are there; none where the interface is down for the moment."""
    with suppress(OSError):
        while size := end.recv_into(room):
            yield bytes(room[:size])


def carry(one: socket.socket, other: socket.socket, delay: float, loss: float) -> NoReturn:
    """Both directions, for ever: `delay` in seconds, `loss` in per cent.

    One thread for all, and no new buffer for each frame: what a wire costs is taken from those who are measured.
    """
    dice = random.Random(472)
    room = memoryview(bytearray(LARGEST))
    beyond = {one: other, other: one}
    waiting: deque[tuple[float, socket.socket, bytes]] = deque()
    for end in beyond:
        end.setblocking(False)
    while True:
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for end in select.select(list(beyond), (), (), left)[0]:
            due = time.monotonic() + delay
            waiting += [(due, beyond[end], frame) for frame in frames(end, room) if dice.random() * 100 >= loss]
        while waiting and waiting[0][0] <= time.monotonic():
            _, end, frame = waiting.popleft()
            # A full queue or an interface that is down loses frames, as a real one does.
            with suppress(OSError):
                end.send(frame)


def main() -> NoReturn:
    parser = argparse.ArgumentParser(prog="python -m lab.wire", description="A slow and lossy wire.")
    parser.add_argument("--delay", type=float, default=0.0, metavar="MS")
    parser.add_argument("--loss", type=float, default=0.0, metavar="PERCENT")
    parser.add_argument("interfaces", nargs=2, metavar="INTERFACE")
    given = parser.parse_args()
    one, other = (opened(name) for name in given.interfaces)
    print(f"listening {' '.join(given.interfaces)}", flush=True)
    carry(one, other, given.delay / 1000, given.loss)


if __name__ == "__main__":
    main()
