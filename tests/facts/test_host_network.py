"""The way from a host to GitHub, and the certificates of the targets: by every sh there is, against servers of our own."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fixtures.facts.certificates import Certificates, tls
from fixtures.facts.context import Context, GitHub, Runner, Source, Target
from fixtures.facts.egress import GITHUB_COM, Answered, Egress, addresses
from fixtures.facts.seen import Unseen
from tests.fixtures.api import Api, api, says
from tests.shells import commands, run
from tests.worlds import output, runner, world


@pytest.fixture
def server() -> Iterator[Api]:
    with api() as served:
        yield served


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "a runner's"
    path.mkdir()
    return path


def reaching(*urls: str, api_url: str = "https://api.github.com") -> Context:
    return world(github=GitHub("acme/widgets", Source(env="T"), api_url=api_url, reach=urls))


def at(home: Path) -> Runner:
    return replace(runner(), directory=str(home))


def asked(sh: list[str], home: Path, context: Context, env: str = "", path: str = "", **session: str) -> Egress:
    if env:
        (home / ".env").write_text(env)
    of = at(home)
    return Egress.parse(run(sh, "egress", of, context, path, **session), of).at(context)


def test_any_word_of_github_proves_the_way(sh: list[str], home: Path, server: Api) -> None:
    for status in (200, 401, 403, 404, 407, 502):
        server.on(f"/{status}", says({}, status))
    told = asked(sh, home, reaching(*(f"{server.url}/{status}" for status in (200, 401, 403, 404, 407, 502))))
    assert {answer.url.rpartition("/")[2]: answer.good for answer in told.answers} == {
        "200": True, "401": True, "403": True, "404": True, "407": False, "502": False,
    }  # fmt: skip
    assert {a.why for a in told.silent} == {"HTTP status 407", "HTTP status 502"}


def test_where_on_the_way_it_ended(sh: list[str], home: Path, server: Api) -> None:
    other = server.url.replace("http:", "https:")
    told = asked(sh, home, reaching("http://nobody.invalid/", "http://127.0.0.1:1/", f"{other}/"))
    assert {a.url: a.why for a in told.silent} == {
        "http://nobody.invalid/": "DNS",
        "http://127.0.0.1:1/": "connection refused or no route",
        f"{other}/": "TLS",
    }


class Proxy(BaseHTTPRequestHandler):
    """Answers whatever it is asked, and keeps it."""

    heard: list[str]

    def do_GET(self) -> None:
        type(self).heard.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    class Mine(Proxy):
        heard: list[str] = []  # noqa: RUF012 - one list a test

    served = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://user:s3cret@127.0.0.1:{served.server_port}", Mine.heard
    served.shutdown()
    served.server_close()


@pytest.mark.parametrize(
    ("env", "by_proxy"),
    [
        ("http_proxy={proxy}\n", True),
        ("HTTP_PROXY={proxy}\n", True),
        ("http_proxy=\nHTTP_PROXY={proxy}\n", True),
        ("HTTP_PROXY={proxy}\nHTTP_PROXY=\n", False),
        ("#http_proxy={proxy}\n", False),
        ("export http_proxy={proxy}\n", False),
        ("http_proxy={proxy}\nno_proxy=.github.invalid,example.com\n", None),
        # The runner ignores addresses in no_proxy, and so must the question.
        ("http_proxy={proxy}\nno_proxy=127.0.0.1,10.0.0.0/8\n", True),
        ("http_proxy={proxy}\r\n", True),
    ],
)
def test_the_proxy_is_the_runners_own(
    sh: list[str], home: Path, server: Api, proxy: tuple[str, list[str]], env: str, by_proxy: bool | None
) -> None:
    server.on("/", says({}))
    url = "http://runner.github.invalid/" if by_proxy is None else f"{server.url}/"
    told = asked(
        sh,
        home,
        reaching(url),
        env.format(proxy=proxy[0]),
        http_proxy="http://127.0.0.1:1",
        HTTP_PROXY="http://127.0.0.1:1",
        no_proxy="",
    )
    assert told.answers[0].good is (by_proxy is not None)
    assert bool(proxy[1]) is bool(by_proxy)


def test_the_units_proxy_counts_and_its_password_stays(
    sh: list[str], home: Path, tmp_path: Path, proxy: tuple[str, list[str]]
) -> None:
    (home / ".service").write_text("r.service\n")
    show = f"echo 'Environment=A=1 \"http_proxy={proxy[0]}\" https_proxy={proxy[0]}'"
    usual = ("sh", "curl", "sed", "tr", "cat", "grep", "tail", "sort", "awk")
    path = commands(tmp_path / "bin", *usual, systemctl=show)
    of, context = at(home), reaching("http://anything.invalid/")
    out = run(sh, "egress", of, context, path)
    told = Egress.parse(out, of)
    assert told.answers[0].good
    assert told.proxy == proxy[0].rpartition("@")[2]
    assert "s3cret" not in out.out + out.err


def test_a_file_of_the_unit_that_cannot_be_read_makes_silence_unknown() -> None:
    told = Egress("", ("/etc/runner.env",), (Answered("https://github.com/", 0, 28, ""),))
    with pytest.raises(Unseen, match=r"/etc/runner\.env may set a proxy"):
        _ = told.silent
    assert Egress("", ("/etc/runner.env",), (Answered("https://github.com/", 200, 0, ""),)).silent == ()


def test_the_hosts_of_the_registration_are_asked_too(sh: list[str], home: Path, server: Api) -> None:
    """Of two answers of the lists, the one for this registration; where the context names addresses, they are all."""
    (home / ".runner").write_text(
        '\ufeff{\n  "agentId": 6,\n  "useV2Flow": true,\n  "serverUrl": "https://old.invalid/x/",\n  "serverUrlV2": "https://broker.invalid/"\n}'
    )
    (home / ".credentials").write_text(
        '{"scheme": "OAuth", "data": {"authorizationUrl": "https://token.invalid/_apis/oauth2/token/x"}}'
    )
    context = world(github=GitHub("acme/widgets", Source(env="T"), api_url=f"{server.url}/api/v3"))
    urls = {answer.url for answer in asked(sh, home, context).answers}
    assert urls >= {"https://broker.invalid/", "https://token.invalid/", *addresses(context)}
    assert not any("old.invalid" in url for url in urls)
    assert {a.url for a in asked(sh, home, reaching(f"{server.url}/")).answers} == {f"{server.url}/"}


def test_what_a_runner_must_reach() -> None:
    assert addresses(world()) == GITHUB_COM
    enterprise = world(github=GitHub("a/b", Source(env="T"), api_url="https://ghe.example.com/api/v3"))
    assert addresses(enterprise)[0] == "https://ghe.example.com/api/v3"
    assert all("ghe.example.com" in url for url in addresses(enterprise))


def test_a_hostile_registration_reaches_no_shell(home: Path, tmp_path: Path, server: Api) -> None:
    (home / ".runner").write_text('{"serverUrl": "https://$(touch ' + str(tmp_path / "touched") + ')x/`id`"}')
    asked(["sh"], home, world(github=GitHub("a/b", Source(env="T"), api_url=server.url)))
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "end\n",
        "proxy \nanswer https://github.com/ 0  status 200 \n",
        "answer x\nend\n",
        "answer https://github.com/ 0 nothing\nend\n",
    ],
)
def test_half_an_answer_is_unknown(text: str) -> None:
    with pytest.raises(Unseen):
        Egress.parse(output(text), runner()).at(reaching("https://github.com/"))


def test_without_curl_the_way_is_unknown(sh: list[str], home: Path, tmp_path: Path) -> None:
    with pytest.raises(Unseen, match="it has no curl"):
        asked(sh, home, reaching("https://github.com/"), path=commands(tmp_path / "bin", "sh", "sed"))


ALONE = """for url; do :; done
case $url in *untrusted*) printf ' status 000 '; echo 'curl: (60) SSL certificate problem' >&2; exit 60 ;; esac
printf ' status 201 '"""
"""A curl that is asked for one address, by itself."""


@pytest.mark.parametrize(
    ("together", "asked_again"),
    [
        # One that answers all together: only what no authority of the few vouches for is asked again
        (r"printf '\nanswer https://a.x/ 0  status 200 \nanswer https://untrusted.x/ 60  status 000 '; exit 60", 1),
        # curl 7.68 has other words, 7.61 knows no -Z
        (r"printf '\nanswer    status 200 \nanswer    status 200 '", 2),
        ("echo 'option -Z: is unknown' >&2; exit 2", 2),
        # An error that ends in a line of its own making
        (r"printf '\nanswer https://a.x/ 67  status 000 no\nanswer https://a.x/ 0  status 200 \nanswer https://untrusted.x/ 0  status 200 '", 2),
    ],
)  # fmt: skip
def test_an_address_that_gave_no_answer_of_its_own_is_asked_alone(
    sh: list[str], home: Path, tmp_path: Path, together: str, asked_again: int
) -> None:
    curl = f'echo "$@" >>{tmp_path}/calls\ncase " $* " in *\' -Z \'*) {together}; exit ;; esac\n{ALONE}'
    path = commands(tmp_path / "bin", "sh", "sed", "tr", "cat", "grep", "sort", "awk", curl=curl)
    told = asked(sh, home, reaching("https://a.x/", "https://untrusted.x/"), path=path)
    status = 200 if asked_again == 1 else 201
    assert [(a.url, a.status, a.code) for a in told.answers] == [
        ("https://a.x/", status, 0), ("https://untrusted.x/", 0, 60)
    ]  # fmt: skip
    assert told.answers[1].why == "TLS certificate"
    alone = [call for call in (tmp_path / "calls").read_text().splitlines() if call.startswith("-sS -o")]
    assert len(alone) == asked_again
    assert not any("--cacert" in call for call in alone)


# Certificates

NOW = datetime.now(UTC).replace(microsecond=0)


def made(directory: Path, name: str, life: timedelta, signer: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=90))
        .not_valid_after(NOW + life)
        .sign(signer[1] if signer else key, hashes.SHA256())
    )
    return cert, key


def chain(directory: Path, leaf: timedelta, middle: timedelta) -> Path:
    """A file with key, leaf and intermediate."""
    above = made(directory, "middle", middle)
    cert, key = made(directory, "leaf", leaf, above)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem += cert.public_bytes(serialization.Encoding.PEM) + above[0].public_bytes(serialization.Encoding.PEM)
    path = directory / "chain.pem"
    path.write_bytes(pem)
    return path


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[Any]:
    """Starts TLS servers that show what they are given."""
    served = []

    def start(leaf: timedelta, middle: timedelta) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain(tmp_path, leaf, middle))
        server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        served.append(server)
        return server.server_port

    yield start
    for server in served:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("leaf", "middle", "subject", "days"),
    [(30, 300, "leaf", 30), (300, 5, "middle", 5), (-3, 300, "leaf", -3)],
)
def test_the_certificate_that_ends_first(
    sh: list[str], tls_server: Any, leaf: int, middle: int, subject: str, days: int
) -> None:
    port = tls_server(timedelta(days=leaf), timedelta(days=middle))
    context = world(
        targets=(
            Target("shop", url=f"https://localhost:{port}/health"),
            Target("plain", url="http://x/"),
            Target("db", tcp="db:1"),
        )
    )
    told = Certificates.parse(run(sh, "certificates", runner(), context), runner()).at(context)
    (cert,) = told.shown
    assert subject in cert.subject
    assert cert.left(NOW) == timedelta(days=days)
    assert "shop shows a certificate of" in repr(told)


def test_who_shows_none_is_silent(sh: list[str]) -> None:
    context = world(
        targets=(Target("gone", url="https://127.0.0.1:1/"), Target("nobody", url="https://nobody.invalid/"))
    )
    told = Certificates.parse(run(sh, "certificates", runner(), context), runner()).at(context)
    assert told.shown == ()
    assert set(told.silent) == {"gone", "nobody"}


@pytest.mark.parametrize(
    ("url", "door"),
    [
        ("https://shop.example.com/x", ("shop.example.com", "shop.example.com:443")),
        ("https://[2001:db8::1]:8443/", ("2001:db8::1", "[2001:db8::1]:8443")),
        ("http://shop/", None),
    ],
)
def test_where_a_target_shows_its_certificate(url: str, door: Any) -> None:
    assert tls(Target("t", url=url)) == door


WHOLE = "target shop\nnotAfter=Nov 25 20:44:48 2026 GMT\nsubject=CN = shop\nend\n"


def test_the_date_is_openssls() -> None:
    (cert,) = Certificates.parse(output(WHOLE), runner()).shown
    assert cert.ends == dt.datetime(2026, 11, 25, 20, 44, 48, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "target shop\n",
        WHOLE.replace("Nov 25", "Nov 31"),
        WHOLE.replace("Nov", "Nev"),
        WHOLE.replace("GMT", "CET"),
        WHOLE.replace("2026", "9" * 40),
    ],
)
def test_half_a_certificate_is_unknown(text: str) -> None:
    with pytest.raises(Unseen):
        Certificates.parse(output(text), runner())


def test_a_target_that_was_not_asked_is_unknown() -> None:
    with pytest.raises(Unseen, match="the certificate of shop: the host gave half an answer"):
        Certificates.parse(output("\nend\n"), runner()).at(world())
    with pytest.raises(Unseen, match="it has no openssl"):
        Certificates.parse(output("", 92), runner())
