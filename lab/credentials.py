"""Credentials that lie on a host and end: a client certificate, and a token of the form of a JWT. Neither opens anything."""

import base64
import datetime
import json
from collections.abc import Mapping
from datetime import timedelta

CERTIFICATE, JWT = "/etc/widgets/client.pem", "/etc/widgets/registry.token"
LIFE = timedelta(days=365)


def certificate(left: timedelta = LIFE) -> str:
    """A certificate that has lived for a while, and lives on for `left`, with its key in the same file."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from lab.certificates import builder

    key = ec.generate_private_key(ec.SECP256R1())
    began = datetime.datetime.now(datetime.UTC) - timedelta(days=30)
    shown = builder("widgets", "widgets", key, began, timedelta(days=30) + left).sign(key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (shown.public_bytes(serialization.Encoding.PEM) + secret).decode()


def jwt(left: timedelta = LIFE) -> str:
    """Made 30 days ago, and good for `left`. Its signature is none."""
    now = datetime.datetime.now(datetime.UTC)
    claims = {"sub": "widgets", "iat": _seconds(now - timedelta(days=30)), "exp": _seconds(now + left)}
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}.{base64.urlsafe_b64encode(b'lab' * 9).decode()}"


def _seconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp())


def _part(value: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def made() -> dict[str, str]:
    """Both, by path."""
    return {CERTIFICATE: certificate(), JWT: f"REGISTRY_AUTH={jwt()}\n"}
