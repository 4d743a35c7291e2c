"""The lab's production: an application that answers `/health` and a database port that accepts.

    python -m lab.production --listen ADDRESS --app PORT --database PORT [--certificate FILE]

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

from lab.tls import serving


class App(http.server.BaseHTTPRequestHandler):
    """`GET /health` is 200 and `ok`; everything else is 404."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"ok\n" if self.path == "/health" else b"not found\n"
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Silent: every gate asks several times a run."""


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
    parser.add_argument("--certificate", type=Path, metavar="FILE")
    options = parser.parse_args()
    app = AppServer((options.listen, options.app), App)
    if options.certificate:
        app.tls = serving(options.certificate)
    database = DatabaseServer((options.listen, options.database), Database)
    threading.Thread(target=database.serve_forever, daemon=True).start()
    print(f"listening {options.listen} {options.app} {options.database}", flush=True)
    app.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
