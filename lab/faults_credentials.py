"""Faults of credentials that end: on the hosts, in the gate's own hands, and by what the context declares."""

import datetime
import shlex
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from lab import context, credentials, world
from lab.engine import on
from lab.fault import BOTH, NSPAWN, Fault
from lab.faults_hosts import NOTHING, PRIMARY
from lab.faults_resources import run_on
from lab.github.world import MAIN_TOKEN_PERMISSIONS
from lab.process import run
from lab.world import Lab, make_key

LAST = frozenset({f"secret-masking/credentials-last[{PRIMARY}]"})
HOST_CERTIFICATE = "/etc/ssh/ssh_host_ed25519_key-cert.pub"
SOON = timedelta(days=3)


def put(path: str, text: Callable[[], str]) -> Callable[[Lab], None]:
    """A file on the primary with another text, its owner and mode as they were."""

    def act(lab: Lab) -> None:
        on(lab, PRIMARY, f"printf %s {shlex.quote(text())} > {path}")

    return act


def certify_host(lab: Lab) -> None:
    """Sign the primary's host key, for three days more."""
    place = lab.state / "certified"
    place.mkdir(mode=0o700, exist_ok=True)
    public = place / "host.pub"
    world.write(public, on(lab, PRIMARY, "cat /etc/ssh/ssh_host_ed25519_key.pub"))
    signed = sign(lab, public, "-h", "-n", PRIMARY)
    on(lab, PRIMARY, f"printf %s {shlex.quote(signed)} > {HOST_CERTIFICATE}")


def certify_gate(lab: Lab) -> None:
    """Sign the gate's own key, for three days more. No host trusts the authority, so each lets the bare key in."""
    sign(lab, lab.state / "ssh" / "id_ed25519.pub", "-n", "audit")


def sign(lab: Lab, public: Path, *argv: str) -> str:
    """A certificate beside a public key, and its text."""
    authority = lab.state / "ssh" / "authority"
    if not authority.exists():
        make_key(authority, "authority")
    run(["ssh-keygen", "-q", "-s", str(authority), "-I", "lab", *argv, "-V", "-30d:+3d", str(public)])
    return public.with_name(f"{public.stem}-cert.pub").read_text("ascii")


def uncertify_gate(lab: Lab) -> None:
    (lab.state / "ssh" / "id_ed25519-cert.pub").unlink(missing_ok=True)


def jwt_token(left: timedelta) -> Callable[[Lab], None]:
    """The gate gets a token that is a JWT, and may read what the old one may."""

    def act(lab: Lab) -> None:
        token = credentials.jwt(left)
        lab.request(
            "POST", "/_lab/tokens", {"token": token, "permissions": dict.fromkeys(MAIN_TOKEN_PERMISSIONS, "read")}
        )
        lab.token_file.rename(lab.token_file.with_name("token.before"))
        world.write(lab.token_file, f"{token}\n", 0o600)

    return act


def old_token(lab: Lab) -> None:
    before = lab.token_file.with_name("token.before")
    if before.exists():
        before.replace(lab.token_file)


def declare_end(lab: Lab) -> None:
    """The registry says that its token ends in three days, and so does the context."""
    until = datetime.datetime.now(datetime.UTC).date() + SOON
    before, secrets, after = lab.context_file.read_text("utf-8").partition("\nsecrets:")
    world.write(lab.context_file, f"{before}\nsecrets_end: [{{name: REGISTRY_TOKEN, until: {until}}}]{secrets}{after}")


def write_again(lab: Lab) -> None:
    world.write(lab.context_file, context.context_text(lab))


FAULTS: tuple[Fault, ...] = (
    Fault("client-certificate-ending", "The primary's client certificate ends in three days.",
          LAST, NOTHING, NSPAWN,
          put(credentials.CERTIFICATE, lambda: credentials.certificate(SOON)),
          put(credentials.CERTIFICATE, credentials.certificate), PRIMARY),
    Fault("jwt-ending", "The token on the primary that the registry takes, a JWT, ends in three days.",
          LAST, NOTHING, NSPAWN,
          put(credentials.JWT, lambda: credentials.jwt(SOON)), put(credentials.JWT, credentials.jwt), PRIMARY),
    Fault("credential-gone", "The primary's client certificate was cleaned away.",
          LAST, NOTHING, NSPAWN,
          run_on(f"mv {credentials.CERTIFICATE} /root/client.pem"), run_on(f"mv /root/client.pem {credentials.CERTIFICATE}"), PRIMARY),
    Fault("credential-hidden", "The primary's client certificate can be read by root alone.",
          NOTHING, LAST, NSPAWN,
          run_on(f"chown root: {credentials.CERTIFICATE}"), run_on(f"chown audit: {credentials.CERTIFICATE}"), PRIMARY),
    Fault("host-certificate-ending", "The primary's sshd shows an SSH certificate that ends in three days.",
          LAST, NOTHING, NSPAWN, certify_host, run_on(f"rm -f {HOST_CERTIFICATE}"), PRIMARY),
    Fault("login-certificate-ending", "The SSH certificate that the gate logs in with ends in three days.",
          frozenset({"secret-masking/login-lasts"}), NOTHING, BOTH, certify_gate, uncertify_gate),
    Fault("token-jwt-ending", "The gate's own token is a JWT, and ends in three days by what it says itself.",
          frozenset({"secret-masking/token-lasts"}), NOTHING, BOTH, jwt_token(SOON), old_token),
    Fault("secret-ending", "The context says that the registry's token ends in three days.",
          frozenset({"secret-masking/secrets-fresh"}), NOTHING, BOTH, declare_end, write_again),
)  # fmt: skip
