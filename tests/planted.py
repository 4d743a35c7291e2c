"""Secrets made for one test run, of every kind that a deploy has to do with; worthless, and never written in a source."""

from __future__ import annotations

import base64
import html
import json
import random
import shlex
import string
import urllib.parse
from collections.abc import Callable, Iterator

LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


class Dice(random.Random):
    def text(self, length: int, of: str = LETTERS) -> str:
        return "".join(self.choices(of, k=length))


def jwt(dice: Dice) -> str:
    parts = ({"alg": "RS256", "kid": dice.text(6)}, {"sub": dice.text(9), "exp": 1999999999})
    head = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*head, dice.text(43)])


def pem(dice: Dice, kind: str = "RSA ") -> str:
    body = "\n".join(dice.text(64) for _ in range(6))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n{dice.text(24)}==\n-----END {kind}PRIVATE KEY-----"


UP = string.ascii_uppercase + string.digits

# What a rule has to know by itself. The secret is what is in the brackets, where there are some.
KINDS: dict[str, Callable[[Dice], str]] = {
    **{f"gh{kind}": lambda d, kind=kind: f"gh{kind}_{d.text(36)}" for kind in "opsur"},  # type: ignore[misc]
    "fine-grained": lambda d: f"github_pat_{d.text(22)}_{d.text(59)}",
    "rsa key": pem,
    "openssh key": lambda d: pem(d, "OPENSSH "),
    "pkcs8 key": lambda d: pem(d, ""),
    "aws id": lambda d: "AKIA" + d.text(16, UP),
    "aws secret": lambda d: f"aws_secret_access_key = [{d.text(40, LETTERS + '/+')}]",
    "bearer": lambda d: f"Authorization: Bearer [{d.text(32)}]",
    "address": lambda d: f"postgres://deploy:[{d.text(18)}]@db.internal/widgets",
    "jwt": jwt,
    "gitlab": lambda d: f"glpat-{d.text(20)}",
    "slack": lambda d: f"xoxb-{d.text(12, string.digits)}-{d.text(24)}",
    "slack webhook": lambda d: f"https://hooks.slack.com/services/[T{d.text(8, UP)}/B{d.text(8, UP)}/{d.text(24)}]",
    "stripe": lambda d: f"sk_live_{d.text(24)}",
    "google": lambda d: f"AIza{d.text(35)}",
    "npm": lambda d: f"npm_{d.text(36)}",
    "pypi": lambda d: f"pypi-AgEIcHlwaS5vcmc{d.text(60)}",
    "sendgrid": lambda d: f"SG.{d.text(22)}.{d.text(43)}",
    "digitalocean": lambda d: f"dop_v1_{d.text(64, HEX)}",
    "vault": lambda d: f"hvs.{d.text(24)}",
    "docker": lambda d: f"dckr_pat_{d.text(27)}",
    "azure": lambda d: f"AccountName=widgets;AccountKey=[{d.text(86, LETTERS + '/+')}==];",
    "azure signature": lambda d: f"https://x.blob.core.windows.net/a?se=1&sig=[{d.text(43)}%3D]",
    "openai": lambda d: f"sk-proj-{d.text(40)}",
    "databricks": lambda d: f"dapi{d.text(32, HEX)}",
    "telegram": lambda d: f"{d.text(9, '123456789')}:AA{d.text(33)}",
    "grafana": lambda d: f"glsa_{d.text(32)}_{d.text(8, HEX)}",
    "password": lambda d: f"password=[{d.text(14)}]",
    "named token": lambda d: f"api_token: [{d.text(20)}7]",
}


def made(kind: str, dice: Dice) -> tuple[str, str]:
    """A text with a secret of that kind in it, and the secret alone."""
    text = KINDS[kind](dice)
    if "[" not in text:
        return text, text
    before, _, rest = text.partition("[")
    secret, _, after = rest.partition("]")
    return before + secret + after, secret


SPECIAL = "p/a s&w\"o'r<d>+%\\é!(*)"


def told(dice: Dice, number: int) -> str:
    """A value that the suite is told of, so that it may look like anything."""
    return (
        dice.text(24),
        dice.text(25),
        dice.text(26),
        f"{dice.text(8)}/+&{dice.text(9)}%",
        f"{dice.text(6)}'\"<{dice.text(7)}>\\{dice.text(6)}&é",
    )[number % 5]


def encoded(value: str) -> Iterator[str]:
    """The forms that shells and libraries print a value in, alone and in the midst of a longer text."""
    raw = value.encode()
    yield value
    for before in (b"", b"x", b"xy"):
        yield base64.b64encode(before + raw + b"\n").decode()
        yield base64.urlsafe_b64encode(before + raw).decode()
    yield from (urllib.parse.quote(value), urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value))
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield raw.hex()
    yield raw.hex().upper()
    yield shlex.quote(value)
    yield html.escape(value)


def traces(value: str) -> set[bytes]:
    """What must not be found of a value that is known: its forms, and the middle of its base64 at each of three shifts."""
    raw = value.encode()
    found = {form for form in encoded(value) if form not in ("", "''")}
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + raw).decode()
        found |= {whole[4:-4], base64.urlsafe_b64encode(b"\0" * shift + raw).decode()[4:-4]}
    return {form.encode() for form in found}
