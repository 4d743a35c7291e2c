"""The lab's certificates, and the servers that show them: a client decides, not we."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lab import certificates, tls
from lab.world import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab("nspawn", root=tmp_path)
    lab.state.mkdir()
    certificates.make_all(lab)
    return lab


@pytest.fixture
def port(lab: Lab) -> Iterator[int]:
    """A server that shakes hands as production, for as long as the test lasts."""
    context = tls.serving(tls.certificate_file(lab, "production"))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    try:
                        context.wrap_socket(client, server_side=True).close()
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def shake(lab: Lab, port: int, name: str = "production.lab") -> str:
    """What a client that trusts the lab's authority says of the certificate: "" when it is content."""
    client = ssl.create_default_context(cafile=tls.authority_file(lab))
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        try:
            client.wrap_socket(connection, server_hostname=name).close()
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
    return ""


def test_a_client_is_content_with_a_good_one(lab: Lab, port: int) -> None:
    assert shake(lab, port) == ""


def test_what_is_wrong_is_shown_to_the_next_client(lab: Lab, port: int) -> None:
    certificates.issue(lab, "production", since=timedelta(days=-60), life=timedelta(days=30))
    assert shake(lab, port) == "certificate has expired"
    certificates.issue(lab, "production", since=timedelta(days=1))
    assert shake(lab, port) == "certificate is not yet valid"
    certificates.issue(lab, "production", names=("elsewhere.lab", "10.77.7.9"))
    assert "production.lab" in shake(lab, port)
    certificates.issue(lab, "production", by=certificates.STRANGER)
    assert shake(lab, port) == "unable to get local issuer certificate"
    certificates.issue(lab, "production")
    assert shake(lab, port) == ""


def test_keys_are_private(lab: Lab) -> None:
    files = list(tls.place(lab).glob("*.pem"))
    assert len(files) == 4
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
