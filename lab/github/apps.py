"""GitHub Apps at the stand-in: who is installed, and a token of an hour for whoever proves to be the App.

The proof is a JWT signed with the App's key (RS256); GitHub takes none that lives longer than ten minutes, and none of the
future (REST reference: Apps).
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lab.github.router import Refused, not_found
from lab.github.shapes import HTML, organisation
from lab.github.tokens import Grant
from lab.github.world import ORG_ID, iso

if TYPE_CHECKING:
    from lab.github.hub import Hub

Json = dict[str, Any]
LONGEST_SECONDS = 600
LIVES = timedelta(hours=1)


@dataclass(frozen=True)
class App:
    """`key` is the public half, PEM. Its installation on the repository has the App's own number."""

    number: int
    key: str
    permissions: Mapping[str, str]
    suspended: bool = False


def parse(wish: Mapping[str, Any]) -> App:
    """From the lab's door. Raises ValueError with a sentence."""
    number, key, permissions = wish.get("id"), wish.get("public_key"), wish.get("permissions")
    if not isinstance(number, int) or not isinstance(key, str) or not isinstance(permissions, dict):
        raise ValueError("an app needs id, public_key (PEM) and permissions, such as {actions: read}")
    return App(number, key, {str(k): str(v) for k, v in permissions.items()}, bool(wish.get("suspended")))


def answer(hub: Hub, method: str, path: str, token: str, base: str) -> tuple[int, Json] | None:
    """Status and JSON for the two questions that an App asks as itself; None for every other. Raises Refused."""
    asks = (method, path) == ("GET", f"/repos/{hub.world.full_name}/installation")
    parts = path.strip("/").split("/")
    wants = method == "POST" and parts[:2] == ["app", "installations"] and parts[3:] == ["access_tokens"]
    if not asks and not wants:
        return None
    app = _proven(hub, token)
    if asks:
        return 200, _installation(hub, app, base)
    if parts[2] != str(app.number):
        raise not_found()
    if app.suspended:
        raise Refused(403, "This installation has been suspended")
    word, ends = f"ghs_{secrets.token_hex(18)}", datetime.now(UTC).replace(microsecond=0) + LIVES
    hub.tokens[word] = Grant({"metadata": "read", **app.permissions}, login="")
    return 201, {
        "token": word,
        "expires_at": ends.isoformat().replace("+00:00", "Z"),
        "permissions": {"metadata": "read", **app.permissions},
        "repository_selection": "selected",
    }


def _installation(hub: Hub, app: App, base: str) -> Json:
    own = f"{base}/app/installations/{app.number}"
    return {
        "id": app.number,
        "app_id": app.number,
        "app_slug": "acme-gate",
        "account": organisation(hub.world, base),
        "target_id": ORG_ID,
        "target_type": "User" if hub.world.owned_by_user else "Organization",
        "repository_selection": "selected",
        "permissions": {"metadata": "read", **app.permissions},
        "events": [],
        "access_tokens_url": f"{own}/access_tokens",
        "repositories_url": f"{base}/installation/repositories",
        "html_url": f"{HTML}/organizations/{hub.world.owner}/settings/installations/{app.number}",
        "single_file_name": None,
        "suspended_by": None,
        "suspended_at": iso(hub.world.now) if app.suspended else None,
        "created_at": iso(hub.world.created),
        "updated_at": iso(hub.world.created),
    }


def _proven(hub: Hub, token: str) -> App:
    """The App that signed. Raises Refused."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        signed, _, signature = token.rpartition(".")
        head, claims = (json.loads(_bytes(part)) for part in signed.split("."))
        app = hub.apps[int(claims["iss"])]
        key = serialization.load_pem_public_key(app.key.encode())
        if head["alg"] != "RS256" or not isinstance(key, rsa.RSAPublicKey):
            raise ValueError
        key.verify(_bytes(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        issued, ends = int(claims["iat"]), int(claims["exp"])
    except (ValueError, KeyError, TypeError, InvalidSignature):
        raise Refused(401, "A JSON web token could not be decoded") from None
    now = time.time()
    if ends < now:
        raise Refused(401, "'Expiration time' claim ('exp') must be a numeric value representing the future time")
    if ends > now + LONGEST_SECONDS:
        raise Refused(401, "'Expiration time' claim ('exp') is too far in the future")
    if issued > now + 1:
        raise Refused(401, "'Issued at' claim ('iat') must be an Integer representing the time of the assertion")
    return app


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
