"""Talking to the stand-in: one kept-alive connection, as the real runner holds one to its broker."""

import contextlib
import http.client
import json
import socket
import urllib.parse
from collections.abc import Mapping
from typing import Any

HOLD_SECONDS = 50.0
"""So long GitHub holds a poll with nothing to tell; the stand-in says how long it does."""
ANSWER_SECONDS = 3.0
"""The stand-in calls a runner offline after 6 s of silence; one lost answer must not be enough."""

Trouble = (OSError, http.client.HTTPException, ValueError)
"""What `post` raises when there is no answer, or none that is JSON."""


class Wire:
    """`post` says one thing and hears the answer. Not for two threads at once, but for `interrupt`."""

    def __init__(self, url: str, secret: str, seconds: float = ANSWER_SECONDS) -> None:
        parts = urllib.parse.urlsplit(url)
        self._seconds = seconds
        self._address = (parts.hostname or "", parts.port or 80)
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None
        self._waiting: socket.socket | None = None

    def post(self, path: str, body: Mapping[str, Any], held: float = 0.0) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a call to `/_lab/PATH`, which may be answered `held` seconds late."""
        connection = self._connection or http.client.HTTPConnection(*self._address, timeout=self._seconds)
        self._connection = None
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(self._seconds + held)
            self._waiting = connection.sock
            connection.request("POST", f"/_lab/{path}", json.dumps(body), self._headers)
            answer = connection.getresponse()
            text = answer.read()
        except Trouble:
            connection.close()
            raise
        finally:
            self._waiting = None
        self._connection = connection
        found = json.loads(text) if text.strip() else {}
        return answer.status, found if isinstance(found, dict) else {}

    def interrupt(self) -> None:
        """Ends the call that waits for its answer, if there is one, with a `Trouble`. For signals and other threads."""
        waiting = self._waiting
        if waiting is not None:
            with contextlib.suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")
