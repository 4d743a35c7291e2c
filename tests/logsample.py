"""Logs made for the tests: lines that hold a secret of the kinds that deploys use, and lines that only look so."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable

from tests.planted import HEX, KINDS, LETTERS, Dice, made

STAMP = "2026-11-24T0{}:{:02}:{:02}.1234567Z "


def stamped(number: int, line: str) -> str:
    """As a runner writes it; a text with lines becomes lines."""
    stamp = STAMP.format(number // 3600 % 10, number // 60 % 60, number % 60)
    return "\n".join(stamp + part for part in line.split("\n"))


def _b64(dice: Dice, size: int) -> str:
    return base64.b64encode(dice.randbytes(size)).decode()


# Each is said by builds and deploys every day, and is no secret.
ALIKE: dict[str, Callable[[Dice], str]] = {
    "sha": lambda d: f"HEAD is now at {d.text(40, HEX)} Merge pull request #{d.randrange(9999)}",
    "short sha": lambda d: f"deploying {d.text(7, HEX)} to production",
    "digest": lambda d: f"Digest: sha256:{d.text(64, HEX)}",
    "layer": lambda d: f"#7 sha256:{d.text(64, HEX)} 3.15MB / 3.15MB 0.2s done",
    "md5": lambda d: f"ETag: \"{d.text(32, HEX)}\"",
    "integrity": lambda d: f'integrity "sha512-{_b64(d, 64)}"',
    "uuid": lambda d: f"X-Request-Id: {uuid.UUID(bytes=d.randbytes(16))}",
    "token that is masked": lambda d: f"Authorization: Bearer *** for token=*** run {d.randrange(99)}",
    "password that is masked": lambda d: f"DB_PASSWORD=*** API_KEY: *** SECRET=*** ({d.randrange(99)})",
    "image": lambda d: f"<img src=\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA{_b64(d, 90)}\">",
    "ssh public key": lambda d: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{_b64(d, 32)[:43]} deploy@widgets",
    "rsa public key": lambda d: f"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ{_b64(d, 120)} ci",
    "certificate": lambda d: f"-----BEGIN CERTIFICATE----- MII{_b64(d, 90)} -----END CERTIFICATE-----",
    "fingerprint": lambda d: f"SHA256:{_b64(d, 32).rstrip('=')} root@prod (ED25519)",
    "example": lambda d: f"usage: deploy --token <your-token> --password YOUR_PASSWORD # {d.randrange(99)}",
    "example address": lambda d: f"see postgres://user:password@localhost:5432/db{d.randrange(99)}",
    "variable": lambda d: f"export API_TOKEN=${{API_TOKEN}} PASSWORD=$DB_PASSWORD # {d.randrange(99)}",
    "secret's name": lambda d: f"reading secret widgets/production/db-{d.randrange(99)} from the vault",
    "package": lambda d: f"Collecting requests=={d.randrange(9)}.{d.randrange(99)}.{d.randrange(9)} (from -r requirements.txt)",
    "timing": lambda d: f"tests/test_tokens.py::test_token_{d.randrange(999)} PASSED [ {d.randrange(100)}%]",
    "cache key": lambda d: f"Cache restored from key: Linux-pip-{d.text(64, HEX)}",
    "version": lambda d: f"widgets-api-{d.randrange(9)}.{d.randrange(9)}.{d.randrange(9)}-{d.text(9, HEX)}.tar.gz",
    "trace id": lambda d: f"traceparent: 00-{d.text(32, HEX)}-{d.text(16, HEX)}-01",
    "artifact": lambda d: f"https://artifacts.example.com/{d.text(12, LETTERS)}/{d.text(40, HEX)}/app.whl",
    "arn": lambda d: f"arn:aws:iam::{d.text(12, '0123456789')}:role/deploy-{d.randrange(99)}",
}  # fmt: skip


def labelled(dice: Dice, secrets: int, alikes: int) -> tuple[str, dict[int, tuple[str, str]], dict[int, str]]:
    """A log; its lines with a secret, by number: (kind, secret); its lines that only look so: kind."""
    kinds, others = list(KINDS), list(ALIKE)
    plan = ["secret"] * secrets + ["alike"] * alikes
    dice.shuffle(plan)
    lines: list[str] = []
    good: dict[int, tuple[str, str]] = {}
    bad: dict[int, str] = {}
    counts = {"secret": 0, "alike": 0}
    for what in plan:
        number = len(lines) + 1
        count = counts[what]
        counts[what] += 1
        if what == "secret":
            kind = kinds[count % len(kinds)]
            text, secret = made(kind, dice)
            good[number] = (kind, secret)
        else:
            bad[number] = others[count % len(others)]
            text = ALIKE[bad[number]](dice)
        lines += stamped(len(lines), text).split("\n")
    return "\n".join(lines) + "\n", good, bad


def bulk(dice: Dice, size: int) -> bytes:
    """A log of about that many bytes without a secret."""
    others = list(ALIKE)
    block = "\n".join(stamped(n, ALIKE[others[n % len(others)]](dice)) for n in range(2000)) + "\n"
    head = f"run {dice.text(20, HEX)}\n".encode()
    data = block.encode()
    return head + (data * (size // len(data) + 1))[:size]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
