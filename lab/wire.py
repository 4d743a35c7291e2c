"""A wire between two network interfaces that holds every frame back for a while, and loses some.

    python -m lab.wire --delay MS --loss PERCENT ONE OTHER

`--delay` is for each direction; losses are drawn, since a regular pattern can strike every repetition of one packet.
It is what `tc … netem` does, for kernels without it.
"""

import argparse
import queue
import random
import socket
import sys
import threading
import time

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


def carry(source: socket.socket, target: socket.socket, delay: float, loss: float) -> None:
    """Start the two threads of one direction: `delay` in seconds, `loss` in per cent."""
    dice = random.Random(472)
    waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def read() -> None:
        while True:
            try:
                frame = source.recv(LARGEST)
            except OSError:
                # The interface is down for the moment.
                time.sleep(0.05)
                continue
            if dice.random() * 100 >= loss:
                waiting.put((time.monotonic() + delay, frame))

    def send() -> None:
        while True:
            due, frame = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                target.send(frame)
            except OSError:
                # A full queue or an interface that is down loses frames, as a real one does.
                continue

    for act in (read, send):
        threading.Thread(target=act, daemon=True).start()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.wire", description="A slow and lossy wire.")
    parser.add_argument("--delay", type=float, default=0.0, metavar="MS")
    parser.add_argument("--loss", type=float, default=0.0, metavar="PERCENT")
    parser.add_argument("interfaces", nargs=2, metavar="INTERFACE")
    given = parser.parse_args()
    one, other = (opened(name) for name in given.interfaces)
    carry(one, other, given.delay / 1000, given.loss)
    carry(other, one, given.delay / 1000, given.loss)
    print(f"listening {' '.join(given.interfaces)}", flush=True)
    threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
