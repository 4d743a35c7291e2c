"""Starts the stand-in: one line on stdout when it listens, SIGTERM or SIGINT ends it."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from lab.github.hub import Hub
from lab.github.server import Keys, Server


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.github", description=__doc__)
    parser.add_argument("--state", required=True, type=Path, help="directory that holds lab.key and runner.key")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="port 0 takes a free one")
    parser.add_argument("--repository", default="acme/widgets", metavar="OWNER/NAME")
    parser.add_argument("--token-file", required=True, type=Path, help="file with the token that may read everything")
    given = parser.parse_args(argv)
    host, _, port = given.listen.rpartition(":")
    owner, slash, repo = given.repository.partition("/")
    if not host or not port.isdecimal() or not slash:
        parser.error("--listen is HOST:PORT and --repository OWNER/NAME")
    keys = Keys(*(_word(path) for path in (given.token_file, given.state / "runner.key", given.state / "lab.key")))
    server = Server((host, int(port)), Hub(owner, repo), keys)

    def end(_signal: int, _frame: FrameType | None) -> None:
        # shutdown() waits for serve_forever, which runs in this very thread.
        server.ending.set()
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    print(f"listening http://{host}:{server.server_address[1]}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    return 0


def _word(path: Path) -> str:
    """A key file's one word. An empty key would open the door to everyone who sends none."""
    word = path.read_text(encoding="ascii").strip()
    if not word:
        sys.exit(f"{path} is empty")
    return word


if __name__ == "__main__":
    sys.exit(main())
