"""The static server and the load that it is put under: what is counted as failed, what as mixed, and whom it never asks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from lab import release
from lab.load import Load, allowed, judged
from lab.site import site_of
from tests.worlds import ROOT

A, B = "a" * 40, "b" * 40


@pytest.fixture
def home(tmp_path: Path) -> Path:
    release.stand(tmp_path, [A, B], "true")
    return tmp_path


@pytest.fixture
def url(home: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), site_of(home))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def some(load: Load, more: int = 20) -> None:
    """Until so many more answers have come."""
    wanted = load.count.requests + more
    while load.count.requests < wanted:
        load._stop.wait(0.005)


def test_a_release_that_stays(url: str) -> None:
    with Load(url, 2) as load:
        some(load)
    assert (load.count.failed, load.count.mixed) == (0, 0)
    assert load.count.versions == {A: load.count.requests}


def test_a_switch_is_seen_and_costs_nothing(url: str, home: Path) -> None:
    with Load(url, 2) as load:
        some(load)
        release.point(home / "current", B)
        some(load)
    assert (load.count.failed, load.count.mixed) == (0, 0), load.count.told
    assert load.count.order == [A, B]


def test_a_release_that_is_changed_as_it_serves_is_mixed(url: str, home: Path) -> None:
    with Load(url, 2) as load:
        (home / "releases" / A / "index.html").write_text(release.files(B)["index.html"])
        some(load)
    assert load.count.mixed >= 18 and load.count.failed == 0
    assert f"the header says {A}, the body {B}" in load.count.told[-1]


def test_no_release_fails(url: str, home: Path) -> None:
    (home / "current").unlink()
    with Load(url, 2) as load:
        some(load)
    assert load.count.failed == load.count.requests and "status 503" in load.count.told[0]


@pytest.mark.parametrize(
    ("status", "header", "body", "word"),
    [
        (200, A, f"release {A}.", "good"),
        (200, A, f"release {A} and release {B}", "mixed"),
        (200, A, "", "mixed"),
        (200, "", f"release {A}", "mixed"),
        (404, A, "not found", "failed"),
    ],
)
def test_an_answer(status: int, header: str, body: str, word: str) -> None:
    assert judged(status, header, body.encode())[0] == word


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:80/", "http://10.78.0.1:80/", "https://127.0.0.1:1/", "http://127.0.0.1/", "file:///etc"]
)
def test_nobody_else_is_asked(url: str) -> None:
    with pytest.raises(ValueError, match=r"no address of a lab|is no http"):
        allowed(url)


@pytest.mark.parametrize(("connections", "seconds"), [(9, 1), (0, 1), (1, 301), (1, 0)])
def test_it_is_bounded(url: str, connections: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="at most"):
        Load(url, connections, seconds)


@pytest.mark.parametrize("path", ["../release.conf", "%2e%2e/release.conf", ".complete", "releases/", "nothing"])
def test_the_site_serves_files_of_the_release_and_no_others(url: str, path: str) -> None:
    import http.client

    host, port, _ = allowed(url)
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("GET", f"/{path}")
    assert connection.getresponse().status == 404
    connection.close()


def test_by_hand(url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab.load", url, "--seconds", "0.3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["requests"] > 0 and said["order"] == [A]
