"""GitHub's HTTP manners around the endpoints (tokens, versions, ETags, limits, errors), and the lab's own door."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from lab.github import apps, doors, joblogs, transport
from lab.github.control import control
from lab.github.hub import Hub
from lab.github.kinds import VERSIONS
from lab.github.router import Ask, Refused, by_name, not_found
from lab.github.tokens import Grant
from lab.github.transport import TransportFault, Wire


@dataclass(frozen=True)
class Keys:
    """`token` speaks to the API, `runner` polls, `lab` breaks and heals."""

    token: str
    runner: str
    lab: str


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], hub: Hub, keys: Keys) -> None:
        self.hub = hub
        self.keys = keys
        self.ending = threading.Event()
        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is everyday business here; anything else is the stand-in's own fault and is shown."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "github.com"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = 300
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: a lab's log is read by people."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("GET", head=True)

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def _answer(self, method: str, head: bool = False) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        open_door = doors.behind(self.headers.get("Host") or "", url.path)
        if open_door is not None:
            self._send(Wire(200, open_door, {"X-GitHub-Request-Id": os.urandom(8).hex().upper()}), head)
            return
        if url.path.startswith(joblogs.PREFIX):
            with self.server.hub.lock:
                status, log = joblogs.blob(self.server.hub, url.path, url.query, "Authorization" in self.headers)
            self._send(Wire(status, log, {"Content-Type": "text/plain; charset=utf-8"}), head)
            return
        if url.path.startswith("/_lab/"):
            status, body = control(
                self.server.hub,
                self.server.keys,
                method,
                unquote(url.path),
                dict(self.headers.items()),
                sent,
                self._there,
            )
            self._send(
                Wire(status, json.dumps(body).encode(), {"Content-Type": "application/json; charset=utf-8"}), head
            )
            return
        hub = self.server.hub
        with hub.lock:
            hub.jobs.tick(hub.world)
            hub.actions.tick()
            prefix = hub.kind.prefix
            below = url.path.removeprefix(prefix) if url.path.startswith(f"{prefix}/") else "/not/below/the/api"
            path = by_name(below, hub.world)
            line = f"{method} {path}" + (f"?{url.query}" if url.query else "")
            faults = [fault for fault in hub.transport_faults.values() if fault.strikes(line)]
        for fault in faults:
            if fault.kind == "stall":
                self._stall()
                return
            if fault.kind == "slow":
                self.server.ending.wait(float(fault.more.get("seconds", 3)))
        with hub.lock:
            wire = self._wire(method, path, url.query, sent, faults)
        self._send(wire, head)

    grant: Grant | None = None
    """Of the token that asks."""
    ahead = 0.0

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(time.time() + self.ahead if timestamp is None else timestamp)

    def _wire(self, method: str, path: str, query: str, sent: bytes, faults: list[TransportFault]) -> Wire:
        hub = self.server.hub
        self.grant = None
        for fault in faults:
            changed = transport.replaced(fault)
            if changed is not None:
                return self._seal(changed[0], changed[1], changed[2], rate=hub.rate(0 if changed[0] == 401 else 1))
        version = self.headers.get("X-GitHub-Api-Version") or VERSIONS[0]
        served = hub.kind.versions
        extra = {"x-github-api-version-selected": version}
        rate = hub.rate()
        try:
            if version not in served:
                raise Refused(410, f"The API version {version} is not supported.")
            base = f"http://{self.headers.get('Host') or 'localhost'}{hub.kind.prefix}"
            word = self.headers.get("Authorization", "").partition(" ")[2].strip()
            if (as_app := apps.answer(hub, method, path, word, base)) is not None:
                return self._seal(as_app[0], as_app[1], extra, rate, faults=faults)
            self.grant = grant = self._admit()
            found = hub.router.find(method, path)
            if found is None or not hub.kind.serves(path, hub.world.owner):
                raise not_found()
            if found.route.needs:
                extra["X-Accepted-GitHub-Permissions"] = f"{found.route.needs}={found.route.level}"
                self._permit(grant, found.route.needs, found.route.level, path, faults)
            free = path == "/rate_limit"
            if not free and not rate["remaining"]:
                raise Refused(403, "API rate limit exceeded for user ID 1.")
            ask = Ask(
                world=hub.world,
                base=base,
                path=path,
                query=dict(parse_qsl(query, keep_blank_values=True)),
                names=found.names,
                online=hub.online,
                rate=rate,
                body=_body(sent) if found.route.level != "read" else {},
                login=grant.login,
                version=version,
                actions=hub.actions,
            )
            body = found.route.answer(ask)
            if ask.links:
                extra["Link"] = ", ".join(ask.links)
            return self._seal(ask.status, body, extra, rate, free=free, faults=faults)
        except Refused as refused:
            if refused.status not in (401, 410):
                rate = hub.rate(1)
            return self._seal(refused.status, refused.body, extra | refused.headers, rate, faults=faults)

    def _admit(self) -> Grant:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.casefold() in ("bearer", "token"):
            hub = self.server.hub
            known = {self.server.keys.token: hub.main_grant(), **hub.tokens, **hub.actions.issued}
            for word, grant in known.items():
                if hmac.compare_digest(token.strip().encode(), word.encode()):
                    return grant
        raise Refused(401, "Bad credentials")

    def _permit(self, grant: Grant, needs: str, level: str, path: str, faults: list[TransportFault]) -> None:
        lost = {str(fault.more["permission"]): fault for fault in faults if fault.kind == "permission-lost"}
        left = {name: level for name, level in grant.permissions.items() if name not in lost}
        mask = grant.mask or (needs in lost and bool(lost[needs].more.get("mask")))
        replace(grant, permissions=left, mask=mask).require(needs, level, path)

    def _seal(
        self,
        status: int,
        body: Any,
        extra: Mapping[str, str],
        rate: Mapping[str, int],
        free: bool = False,
        faults: Sequence[TransportFault] = (),
    ) -> Wire:
        """The bytes, with an ETag, what is left of the rate limit, and 304 for what the client already holds."""
        cut = next((fault.kind for fault in faults if fault.kind in ("reset", "truncated")), "")
        spoilt = [fault for fault in faults if fault.kind in transport.SPOILS]
        data = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Cache-Control": "private, max-age=60, s-maxage=60",
            "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Request-Id": os.urandom(8).hex().upper(),
        }
        if status == 200 and not isinstance(body, bytes):
            tag = f'W/"{hashlib.sha256(data).hexdigest()}"'
            headers["ETag"] = tag
            # A fault needs a body: a client that holds the answer already would not notice it on a 304.
            if not cut and not spoilt and _matches(self.headers.get("If-None-Match", ""), tag):
                status, data, free = 304, b"", True
            rate = rate if free else self.server.hub.rate(1)
        headers |= {f"x-ratelimit-{name}": str(number) for name, number in rate.items()}
        headers["x-ratelimit-resource"] = "core"
        if self.server.hub.kind.enterprise:
            headers["X-GitHub-Enterprise-Version"] = self.server.hub.kind.enterprise
        if status != 401 and self.grant is not None and self.grant.ends is not None:
            headers["GitHub-Authentication-Token-Expiration"] = f"{self.grant.ends:%Y-%m-%d %H:%M:%S} UTC"
        if status != 401 and self.grant is not None and self.grant.scopes is not None:
            headers["X-OAuth-Scopes"] = self.grant.scopes
        wire = Wire(status, data, headers | dict(extra), cut)
        for fault in spoilt:
            transport.spoil(fault, wire)
        return wire

    def _send(self, wire: Wire, head: bool) -> None:
        self.ahead = wire.ahead
        self.send_response(wire.status)
        for name, text in wire.headers.items():
            if wire.status != 304 or name != "Content-Type":
                self.send_header(name, text)
        if wire.status != 304:
            self.send_header("Content-Length", str(len(wire.body)))
        self.end_headers()
        if head:
            return
        if not wire.cut:
            self.wfile.write(wire.body)
            return
        self.wfile.write(wire.body[: max(1, len(wire.body) // 2)])
        self.wfile.flush()
        self.close_connection = True
        if wire.cut == "reset":
            # The half must have left before the reset, which would discard it here and at the client.
            time.sleep(0.02)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def _there(self, seconds: float) -> bool:
        """Waits; whether the client still listens: it says nothing while we owe it an answer, so what comes is its end."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        return not readable and not self.server.ending.is_set()

    def _stall(self) -> None:
        """Holds the connection until the client gives up or the stand-in ends."""
        self.close_connection = True
        while not self.server.ending.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.25)
            if readable:
                return


def _body(sent: bytes) -> dict[str, Any]:
    """Raises Refused for what is no JSON object."""
    try:
        found = json.loads(sent) if sent.strip() else {}
    except ValueError:
        raise Refused(400, "Problems parsing JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, "Body should be a JSON object")
    return found


def _matches(asked: str, tag: str) -> bool:
    """Weak comparison, as conditional GETs need."""
    known = [part.strip().removeprefix("W/") for part in asked.split(",")]
    return asked.strip() == "*" or tag.removeprefix("W/") in known
