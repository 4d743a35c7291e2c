"""Certificates of the lab: an authority that its hosts trust, and what its servers show, as a fault may want it.

A certificate file holds certificate and key. Servers look at it for each new connection, so that a fault is one write.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.tls import authority_file, certificate_file, place
from lab.world import GITHUB_NAMES, Lab, write

AUTHORITY = "Runner Preflight lab"
STRANGER = "Somebody else"
"""An authority that no host trusts."""
SERVERS = {
    "github": tuple(name for names in GITHUB_NAMES.values() for name in names),
    "production": ("production.lab",),
}
"""The names each server's certificate is for."""
LIFE = timedelta(days=365)


def make_all(lab: Lab) -> None:
    """An authority, a stranger's, and a good certificate for each server."""
    place(lab).mkdir(mode=0o700, exist_ok=True)
    for name in (AUTHORITY, STRANGER):
        key = ec.generate_private_key(ec.SECP256R1())
        made = builder(name, name, key, datetime.datetime.now(datetime.UTC) - timedelta(days=30), timedelta(days=3650))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        save(place(lab) / f"{name}.pem", made.sign(key, hashes.SHA256()), key)
    own, _key = authority(lab, AUTHORITY)
    write(authority_file(lab), own.public_bytes(serialization.Encoding.PEM).decode())
    for server in SERVERS:
        issue(lab, server)


def issue(
    lab: Lab,
    server: str,
    *,
    names: Sequence[str] | None = None,
    since: timedelta = timedelta(days=-1),
    life: timedelta = LIFE,
    by: str = AUTHORITY,
) -> None:
    """Give `server` a new certificate, shown from its next connection on. The defaults are a good one.

    `since` counts from now, `life` from then: `since=-60 d, life=30 d` has been expired for 30 days.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    meant = SERVERS[server] if names is None else tuple(names)
    made = builder(meant[0], by, key, datetime.datetime.now(datetime.UTC) + since, life)
    alternative = x509.SubjectAlternativeName([_name(name) for name in meant])
    made = made.add_extension(alternative, critical=False)
    made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    _own, signer = authority(lab, by)
    save(certificate_file(lab, server), made.sign(signer, hashes.SHA256()), key)


def builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, since: datetime.datetime, life: timedelta
) -> x509.CertificateBuilder:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    return (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + life)
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def authority(lab: Lab, name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    data = (place(lab) / f"{name}.pem").read_bytes()
    key = serialization.load_pem_private_key(data, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return x509.load_pem_x509_certificate(data), key


def save(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    shown = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write(path, (shown + secret).decode(), 0o600)
