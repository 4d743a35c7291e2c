"""The lab's production: an application that serves the live release, `/health` too, and a database port that accepts.

    python -m lab.production --listen ADDRESS --app PORT --database PORT --home DIRECTORY [--certificate FILE]

With a certificate the application speaks TLS. It is a process of its own, so that a fault can stop it while the GitHub stand-in lives.
"""

import argparse
import http.server
import socketserver
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

from lab.site import site_of
from lab.tls import serving


class AppServer(http.server.ThreadingHTTPServer):
    """`tls` is None for an application that speaks in the clear."""

    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        # Here, in the client's own thread: who does not shake hands keeps nobody waiting.
        if self.tls is not None:
            request.settimeout(10)
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                # A client that trusts no such certificate goes away in the middle.
                return
        super().finish_request(request, client_address)


class Database(socketserver.StreamRequestHandler):
    """Accept, and wait until the client goes."""

    def handle(self) -> None:
        self.rfile.read()


class DatabaseServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.production", description="The lab's production targets.")
    parser.add_argument("--listen", required=True, metavar="ADDRESS")
    parser.add_argument("--app", required=True, type=int, metavar="PORT")
    parser.add_argument("--database", required=True, type=int, metavar="PORT")
    parser.add_argument("--home", required=True, type=Path, metavar="DIRECTORY")
    parser.add_argument("--certificate", type=Path, metavar="FILE")
    options = parser.parse_args()
    app = AppServer((options.listen, options.app), site_of(options.home))
    if options.certificate:
        app.tls = serving(options.certificate)
    database = DatabaseServer((options.listen, options.database), Database)
    threading.Thread(target=database.serve_forever, daemon=True).start()
    print(f"listening {options.listen} {options.app} {options.database}", flush=True)
    app.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
