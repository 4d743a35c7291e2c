"""When what lies on a host ends: real certificates and tokens, read by the section itself, and what leaves the host."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fixtures.facts.context import Context
from fixtures.facts.credentials import WHY, Credentials
from fixtures.facts.ends import EVER, Ending, moment
from fixtures.facts.hosts import Credential, Hosts
from fixtures.facts.seen import NotApplicable, Output, Unseen
from tests.facts.own import at
from tests.shells import commands, run
from tests.worlds import output, runner, world

NOW = datetime(2026, 11, 26, tzinfo=UTC)
LEFT = timedelta(days=14)
DAY = timedelta(days=1)


def certificate(ends: datetime, since: datetime = NOW - 300 * DAY) -> tuple[str, str]:
    """A certificate, and the key to it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "widgets")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(since).not_valid_after(ends)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def jwt(claims: Any) -> str:
    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}.{part(b'not a signature at all')}"


def ssh_certificate(place: Path, *valid: str) -> Path:
    for name in ("ca", "id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name], check=True)
    argv: list[str | Path] = [
        "ssh-keygen",
        "-q",
        "-s",
        place / "ca",
        "-I",
        "who",
        "-n",
        "audit",
        *valid,
        place / "id_ed25519.pub",
    ]
    subprocess.run(argv, check=True, env={**os.environ, "TZ": "Asia/Tokyo"})
    return place / "id_ed25519-cert.pub"


def declaring(*paths: Path | str) -> Context:
    return replace(world(), hosts=Hosts(credentials=tuple(Credential("ours", str(path)) for path in paths)))


def asked(sh: list[str], home: Path, *paths: Path | str, path: str = "") -> tuple[Credentials, Output]:
    of = at(home)
    out = run(sh, "credentials", of, declaring(*paths), path)
    return Credentials.parse(out, of), out


def ours(found: Credentials, *paths: Path | str) -> list[Ending]:
    """Without what this machine has in /etc/ssh."""
    return [e for e in found.ends if any(str(path) in e.what for path in paths)]


def test_a_certificate_is_judged_and_its_key_stays(sh: list[str], home: Path) -> None:
    shown, secret = certificate(NOW + 40 * DAY)
    first, _ = certificate(NOW + 3 * DAY)
    file = home / "with a blank.pem"
    file.write_text(secret + shown + first.replace("\n", "\r\n"))
    found, out = asked(sh, home, file)
    (ending,) = ours(found, file)
    assert (ending.ends, ending.since) == (NOW + 3 * DAY, NOW - 300 * DAY)
    assert not any(line in out.out + out.err for line in (secret + shown + first).splitlines() if len(line) > 20)
    assert (
        "ends on 2026-11-29 00:00Z, in 3 d" in found.faults(runner(), declaring(file).hosts.credentials, NOW, LEFT)[0]
    )


@pytest.mark.parametrize("pads", range(3))
@pytest.mark.parametrize("spaces", [True, False])
def test_a_jwt_is_judged_and_stays(sh: list[str], home: Path, pads: int, spaces: bool) -> None:
    """Whatever its length; with letters that base64 for addresses has of its own."""
    claims = {
        "sub": "?>~" * 5 + "x" * pads,
        "exp": int((NOW + 3 * DAY).timestamp()),
        "iat": int(NOW.timestamp()) - 10**7,
    }
    text = jwt(json.dumps(claims, separators=None if spaces else (",", ":"), ensure_ascii=False).encode())
    file = home / "token"
    file.write_text(f"A=1\nREGISTRY={text}\nB=2\n")
    found, out = asked(sh, home, file)
    (ending,) = ours(found, file)
    assert ending.ends == NOW + 3 * DAY
    assert not any(piece in out.out + out.err for piece in text.split("."))


@pytest.mark.parametrize(
    ("valid", "since", "ends"),
    [
        (
            ["-V", "20260101000000:20270101000000"],
            datetime(2025, 12, 31, 15, tzinfo=UTC),
            datetime(2026, 12, 31, 15, tzinfo=UTC),
        ),
        (["-V", "always:20270101"], EVER, datetime(2026, 12, 31, 15, tzinfo=UTC)),
    ],
)
def test_an_ssh_certificate(sh: list[str], home: Path, valid: list[str], since: datetime, ends: datetime) -> None:
    file = ssh_certificate(home, *valid)
    (ending,) = ours(asked(sh, home, file)[0], file)
    assert (ending.since, ending.ends) == (since, ends)


def test_what_has_no_end_is_seen_and_held(sh: list[str], home: Path) -> None:
    file, token = ssh_certificate(home), home / "token"
    token.write_text(jwt({"sub": "x", "note": '"exp":1'}))
    found, _ = asked(sh, home, file, token)
    assert {str(file), str(token)} <= found.places
    assert not ours(found, file, token)
    assert not any(str(home) in why for why in found.blind)


def said(found: Credentials, home: Path) -> dict[str, str]:
    """Why each file of that directory is not known."""
    mine = [why.removeprefix(f"{home}/").partition(" ") for why in found.blind if why.startswith(f"{home}/")]
    return {name: why for name, _, why in mine}


def test_what_cannot_be_read_is_said(sh: list[str], tmp_path: Path) -> None:
    """Each of them for itself, and none is a credential that lasts."""
    home = tmp_path / "home"
    home.mkdir()
    shown, _ = certificate(NOW + 40 * DAY)
    texts = {
        "opaque": "a password",
        "empty": "",
        "cut.pem": shown[:200],
        "wrong.pem": shown.replace(shown[60:90], "A" * 30),
        "half.pem": shown + shown.replace(shown[60:90], "A" * 30),
        "odd.jwt": jwt({"exp": "tomorrow"}),
        "float.jwt": jwt(b'{"exp":1e12}'),
        "list.jwt": jwt(b'{"a":1'),
        "large": "x" * 1_000_001,
        "ssh": "ssh-ed25519-cert-v01@openssh.com AAAA me\n",
    }
    for name, text in texts.items():
        (home / name).write_text(text)
    (home / "folder").mkdir()
    os.mkfifo(home / "pipe")
    names = [*texts, "folder", "pipe", "gone"]
    found, _ = asked(sh, home, *(home / name for name in names))
    assert said(found, home) == {
        "opaque": WHY["nothing"],
        "empty": WHY["nothing"],
        **dict.fromkeys(
            ("cut.pem", "wrong.pem", "half.pem", "odd.jwt", "float.jwt", "list.jwt", "ssh"), WHY["unreadable"]
        ),
        "large": WHY["large"],
        "folder": WHY["other"],
        "pipe": WHY["other"],
    }
    assert found.missing == {str(home / "gone")}
    assert not ours(found, home)
    with pytest.raises(Unseen, match="holds no certificate"):
        found.faults(runner(), declaring(home / "opaque").hosts.credentials, NOW, LEFT)


def test_without_the_tools_it_is_unknown(home: Path, tmp_path: Path) -> None:
    files = [home / "a.pem", ssh_certificate(home)]
    files[0].write_text(certificate(NOW + DAY)[0])
    bare = commands(
        tmp_path / "bare", "sh", "awk", "grep", "sed", "tr", "cut", "sort", "head", "wc", "base64", "dirname"
    )
    found, _ = asked(["sh"], home, *files, path=bare)
    assert list(said(found, home).values()) == [WHY["no-openssl"], WHY["no-ssh-keygen"]]


def test_a_value_of_the_context_is_no_shell(home: Path, tmp_path: Path) -> None:
    """The context's own pattern lets no such path in; if it did, it would still be a path."""
    mark = tmp_path / "mark"
    hostile = f"/x'; touch {mark}; echo '$(touch {mark})"
    found, _ = asked(["sh"], home, hostile)
    assert hostile in found.missing
    assert not mark.exists()


def test_hostile_text_is_a_text(sh: list[str], home: Path) -> None:
    """What a file says is none of the section's own words."""
    file = home / "token"
    file.write_text(
        "file /etc/passwd\nend\njwt 1 1\n\x1b[31m$(id)`id`\n" + jwt({"exp": "1\njwt 9 9", "iat": 1}) + "\x00\n"
    )
    found, out = asked(sh, home, file)
    assert said(found, home) == {"token": WHY["unreadable"]}
    assert "/etc/passwd" not in out.out


TOLD = "file /a\ncertificate\nnotBefore=Jan  1 00:00:00 2026 GMT\nnotAfter=Nov 29 00:00:00 2026 GMT\nend\n"


def parsed(text: str) -> Credentials:
    return Credentials.parse(output(text), runner())


def faults(found: Credentials, *paths: str, left: timedelta = LEFT) -> list[str]:
    return found.faults(runner(), [Credential("ours", path) for path in paths], NOW, left)


def test_what_is_declared_must_be_there_and_last() -> None:
    assert faults(parsed(TOLD), "/a", left=DAY) == []
    assert faults(parsed(TOLD), "/a") == ["the certificate in /a ends on 2026-11-29 00:00Z, in 3 d"]
    assert faults(parsed("file /a\nmissing\nend\n"), "/a") == ["ours is not there: /a"]
    with pytest.raises(Unseen, match="/b was not asked for"):
        faults(parsed(TOLD), "/a", "/b", left=DAY)
    assert faults(parsed(TOLD), "/a", "/b"), "what is at fault is, whatever else cannot be seen"
    with pytest.raises(NotApplicable):
        faults(parsed("end\n"))


def lines() -> Iterable[str]:
    yield from (
        "",
        "end of it\n",
        TOLD.replace("end\n", ""),
        "certificate\nend\n",
        "file /a\nend\n",
        "file /a\nfile /b\nmissing\nend\n",
    )


@pytest.mark.parametrize("text", list(lines()))
def test_half_an_answer_is_unknown(text: str) -> None:
    with pytest.raises(Unseen):
        parsed(text)


@pytest.mark.parametrize(
    "words",
    [
        "certificate\nnotBefore=Jan  1 00:00:00 2026 GMT",
        "certificate",
        "certificate\nnotBefore=x\nnotAfter=y",
        "ssh from 2026-13-01T00:00:00 to 2027-01-01T00:00:00",
        "ssh for ever",
        "jwt 999999999999999 1",
        "jwt ? 1",
        "jwt 1793060537 ?",
        "nothing",
        "surprise",
    ],
)
def test_a_date_that_is_none_is_unknown(words: str) -> None:
    found = parsed(f"file /a\n{words}\nend\n")
    assert found.blind and not found.ends
    with pytest.raises(Unseen):
        faults(found, "/a")


def test_a_credential_of_a_day_is_at_fault_once_it_has_ended() -> None:
    def of(since: timedelta, ends: timedelta) -> str:
        return Ending("it", NOW + since, NOW + ends).fault(NOW, LEFT)

    assert of(-DAY, DAY) == ""
    assert of(-15 * DAY, DAY) == "it ends on 2026-11-27 00:00Z, in 1 d"
    assert of(-DAY, timedelta()) == "it ended on 2026-11-26 00:00Z"
    assert of(timedelta(hours=1), 90 * DAY) == "it is not valid before 2026-11-26 01:00Z"
    assert of(-DAY, 90 * DAY) == ""
    assert Ending("it", EVER, NOW + DAY).fault(NOW, LEFT)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("0", True),
        ("1793060537", True),
        ("99999999999", True),
        ("999999999999", False),
        ("", False),
        ("-1", False),
        ("1.5", False),
        ("\u0661", False),
    ],
)
def test_a_moment(text: str, is_one: bool) -> None:
    assert (moment(text) is not None) == is_one
