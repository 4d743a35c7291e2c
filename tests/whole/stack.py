"""A real Prometheus, Alertmanager and node_exporter, from Debian's packages, around a lab.

Each runner host has a node_exporter of its own, run by its own systemd; the control host's, with the gate's metrics, is
on loopback, and so are Prometheus, Alertmanager and the receiver of the alerts.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from lab.engine import engine_named
from lab.world import Lab
from tests.worlds import ROOT

SHIPPED = ROOT / "contexts" / "monitoring"
PROGRAMS = {
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
}
"""Command and Debian package."""
UNITS = r"actions\.runner\..+\.service"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], Any], what: str, seconds: float, why: Callable[[], object] = str) -> Any:
    """What `true` gives once it is true. `why` says at the end what is still amiss."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}; {why()}"
        time.sleep(0.5)
    return found


class Receiver:
    """Where Alertmanager posts: the alerts that fire, by name, with the labels of each."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []
        outer = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.told += [a["labels"] for a in body["alerts"] if a["status"] == "firing"]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                return None

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/alerts"
        threading.Thread(target=self.http.serve_forever, args=(0.1,), daemon=True).start()

    def heard(self, alert: str) -> list[dict[str, str]]:
        return [labels for labels in self.told if labels["alertname"] == alert]


@dataclass
class Stack:
    """`folder` holds configurations and data; `textfiles` is what the control host's exporter serves."""

    folder: Path
    receiver: Receiver
    ports: dict[str, int] = field(
        default_factory=lambda: {n: free_port() for n in ("prometheus", "alertmanager", "node")}
    )
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def textfiles(self) -> Path:
        return self.folder / "textfiles"

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, lab: Lab) -> None:
        self.textfiles.mkdir()
        self.configure(lab)
        at = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        self.run("prometheus-node-exporter", f"--web.listen-address={at['node']}", "--collector.disable-defaults",
                 "--collector.textfile", f"--collector.textfile.directory={self.textfiles}")  # fmt: skip
        self.run("prometheus-alertmanager", f"--config.file={self.folder}/alertmanager.yml", f"--storage.path={self.folder}/am",
                 f"--web.listen-address={at['alertmanager']}", "--cluster.listen-address=")  # fmt: skip
        self.run("prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/tsdb",
                 f"--web.listen-address={at['prometheus']}", "--web.enable-lifecycle")  # fmt: skip
        for name in ("prometheus", "alertmanager"):
            until(partial(self.answers, f"{self.url(name)}/-/ready"), f"{name} to be ready", 60)

    def configure(self, lab: Lab) -> None:
        """The shipped files, with the addresses of this machine; nothing else is changed in them."""
        (self.folder / "alerts.yml").write_text((SHIPPED / "alerts.yml").read_text())
        config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
        hosts, control = config["scrape_configs"]
        hosts["static_configs"] = [
            {"targets": [f"{host.address}:9100"], "labels": {"instance": host.name}} for host in lab.hosts
        ]
        control["static_configs"] = [{"targets": [f"127.0.0.1:{self.ports['node']}"]}]
        config["alerting"]["alertmanagers"][0]["static_configs"] = [
            {"targets": [f"127.0.0.1:{self.ports['alertmanager']}"]}
        ]
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        routing = yaml.safe_load((SHIPPED / "alertmanager.yml").read_text())
        for receiver in routing["receivers"]:
            receiver["webhook_configs"] = [{"url": self.receiver.url, "send_resolved": False}]
        (self.folder / "alertmanager.yml").write_text(yaml.safe_dump(routing))

    def run(self, *argv: str) -> None:
        log = (self.folder / f"{argv[0]}.log").open("wb")
        self.started.append(
            subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        )

    def answers(self, url: str) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def query(self, text: str) -> list[dict[str, Any]]:
        url = f"{self.url('prometheus')}/api/v1/query?query={urllib.request.quote(text)}"  # type: ignore[attr-defined]
        with urllib.request.urlopen(url, timeout=10) as answer:
            return list(json.load(answer)["data"]["result"])

    def reload(self) -> None:
        request = urllib.request.Request(f"{self.url('prometheus')}/-/reload", method="POST")
        urllib.request.urlopen(request, timeout=30).close()

    def stop(self) -> None:
        for child in reversed(self.started):
            os.killpg(child.pid, signal.SIGTERM)
        for child in self.started:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
        self.receiver.http.shutdown()
        self.receiver.http.server_close()


def export(lab: Lab) -> None:
    """node_exporter on every runner host, with the systemd collector, as contexts/monitoring/prometheus.yml says."""
    program = Path("/usr/bin/prometheus-node-exporter").read_bytes()
    engine = engine_named(lab.engine)
    put = "cat > /usr/local/bin/node_exporter && chmod 755 /usr/local/bin/node_exporter"
    run = (
        "systemctl reset-failed node-exporter 2>/dev/null; systemctl stop node-exporter 2>/dev/null; "
        "systemd-run --quiet --unit=node-exporter /usr/local/bin/node_exporter --web.listen-address=:9100 "
        f"--collector.systemd '--collector.systemd.unit-include={UNITS}'"
    )
    for host in lab.hosts:
        for script, data in ((put, program), (run, b"")):
            argv = engine.command(lab, host, ["/bin/sh", "-c", script])
            subprocess.run(argv, input=data, check=True, capture_output=True, timeout=60)
