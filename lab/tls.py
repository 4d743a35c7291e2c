"""TLS without the making of certificates: where they lie, and servers that show them to whoever comes next."""

import ssl
from pathlib import Path

from lab.world import Lab


def place(lab: Lab) -> Path:
    return lab.state / "tls"


def authority_file(lab: Lab) -> Path:
    """The authority's certificate, without its key: what the hosts trust."""
    return place(lab) / "authority.crt"


def certificate_file(lab: Lab, server: str) -> Path:
    return place(lab) / f"{server}.pem"


class Shown:
    """The certificate in `file` (with its key), read again when the file has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._changed = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def now(self) -> ssl.SSLContext:
        changed = self._file.stat().st_mtime_ns
        if changed != self._changed:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._file)
            self._changed, self._context = changed, context
        return self._context


def serving(file: Path) -> ssl.SSLContext:
    """A context for a server that runs on: each client is shown what `file` holds by then."""
    shown = Shown(file)

    def renew(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = shown.now()

    # Called for every client, also for one that names no server.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.sni_callback = renew
    return context
