"""What a release looks like from outside: a static server of whatever the link `current` points at.

    python -m lab.site --listen ADDRESS:PORT --home DIRECTORY

Each answer names its version twice, in the header `X-Release` (the release's file `version`) and in its body. The link is
read once for each request, so that an answer which disagrees with itself tells of a release that was changed as it served.
"""

import argparse
import http.server
import os
import re
from http import HTTPStatus
from pathlib import Path

HEADER = "X-Release"
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css"}
MOST = 1 << 20


def read(folder: int, name: str) -> bytes | None:
    """A file of the release that `folder` was opened for; None when it has none of that name."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(file, "rb") as opened:
        return opened.read(MOST)


class Site(http.server.BaseHTTPRequestHandler):
    """`GET /` is the release's page, `/NAME` another file of it, `/health` is 200 where a release serves."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    home = Path()

    def do_GET(self) -> None:
        try:
            folder = os.open(self.home / "current", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            self.answer(HTTPStatus.SERVICE_UNAVAILABLE, b"no release\n", "")
            return
        try:
            version = (read(folder, "version") or b"").decode("ascii", "replace").strip()
            name = self.path.partition("?")[0].removeprefix("/") or "index.html"
            # A release that holds a file `sick` is one whose service does not come up.
            if not version or read(folder, "sick") is not None:
                self.answer(HTTPStatus.SERVICE_UNAVAILABLE, b"sick\n", version)
            elif name == "health":
                self.answer(HTTPStatus.OK, b"ok\n", version)
            elif NAME.fullmatch(name) and (body := read(folder, name)) is not None:
                self.answer(HTTPStatus.OK, body, version, KINDS.get(Path(name).suffix, "text/plain"))
            else:
                self.answer(HTTPStatus.NOT_FOUND, b"not found\n", version)
        finally:
            os.close(folder)

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, status: HTTPStatus, body: bytes, version: str, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if version:
            self.send_header(HEADER, version.replace("\n", " "))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: under load it is asked hundreds of times a second."""


def site_of(home: Path) -> type[Site]:
    """The handler that serves `home`/current."""
    return type("SiteOf", (Site,), {"home": home})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.site", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--home", required=True, type=Path, metavar="DIRECTORY")
    given = parser.parse_args()
    host, _, port = given.listen.rpartition(":")
    with http.server.ThreadingHTTPServer((host, int(port)), site_of(given.home)) as server:
        print(f"listening {host}:{server.server_address[1]}", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
