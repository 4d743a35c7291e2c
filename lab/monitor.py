"""The lab's Prometheus and Alertmanager: a stand-in that speaks their HTTP APIs and runs this project's own rules.

    python -m lab.monitor --listen ADDRESS --state DIR --instances a,b

What it serves follows from contexts/monitoring/ of this checkout: the rules, their intervals, the routing. It scrapes
nothing and evaluates nothing; that the real ones answer in this form is what tests/slow/test_monitoring.py holds it to.
It writes its port to DIR/port and reads DIR/troubles.json anew for each answer, so that a fault is one write.
"""

import argparse
import http.server
import json
import re
import sys
import time
import urllib.parse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from lab.world import ROOT, Lab, write

MONITORING = ROOT / "contexts" / "monitoring"
TROUBLES = (
    "exporter-down",
    "samples-stale",
    "own-metrics-missing",
    "rules-missing",
    "rule-failing",
    "rule-slow",
    "alerts-unrouted",
    "alerts-silenced",
    "alertmanager-lost",
    "prometheus-down",
    "alertmanager-down",
)
UNITS = {"s": 1, "m": 60, "h": 3600}


def directory(lab: Lab) -> Path:
    return lab.state / "monitoring"


def address(lab: Lab) -> str:
    """Where it listens, once it has said so."""
    return f"http://{lab.address}:{(directory(lab) / 'port').read_text().strip()}"


def trouble(lab: Lab, name: str, on: bool) -> None:
    """Put a trouble in place or take it away. It holds from the next question on."""
    assert name in TROUBLES, name
    path = directory(lab) / "troubles.json"
    now = set(json.loads(path.read_text()))
    write(path, json.dumps(sorted(now | {name} if on else now - {name})) + "\n")


def seconds(text: str) -> int:
    return sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)([smh])", text))


def stamp(ago: float = 0.0) -> str:
    moment = datetime.now(UTC) - timedelta(seconds=ago)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "000Z")


def targets(instances: tuple[str, ...], on: set[str]) -> Any:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text("utf-8"))
    rows = []
    for place, name in enumerate(instances):
        down = "exporter-down" in on and place == 0
        late = "samples-stale" in on and place == 0
        rows.append(
            {
                "discoveredLabels": {"__address__": f"{name}:9100", "job": "node"},
                "labels": {"instance": f"{name}:9100", "job": "node"},
                "scrapePool": "node",
                "scrapeUrl": f"http://{name}:9100/metrics",
                "globalUrl": f"http://{name}:9100/metrics",
                "lastError": "context deadline exceeded" if down else "",
                "lastScrape": stamp(1200 if late else 6),
                "lastScrapeDuration": 0.02,
                "health": "down" if down else "up",
                "scrapeInterval": config["global"]["scrape_interval"],
                "scrapeTimeout": "10s",
            }
        )
    return {"activeTargets": rows, "droppedTargets": []}


def rules(on: set[str]) -> Any:
    groups = []
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"]:
        listed = [_rule(rule, on) for rule in group["rules"]]
        if "rules-missing" in on:
            listed = [rule for rule in listed if rule["name"] != "RunnerOffline"]
        every = seconds(group["interval"])
        groups.append(
            {
                "name": group["name"],
                "file": str(MONITORING / "alerts.yml"),
                "rules": listed,
                "interval": every,
                "limit": 0,
                "evaluationTime": 0.001,
                "lastEvaluation": stamp(4),
            }
        )
    return {"groups": groups}


def _rule(rule: dict[str, Any], on: set[str]) -> Any:
    ill = "rule-failing" in on and rule["alert"] == "RunnerOffline"
    waits = seconds(rule.get("for", "0s"))
    return {
        "state": "inactive",
        "name": rule["alert"],
        "query": rule["expr"],
        "duration": 600 if "rule-slow" in on and rule["alert"] == "RunnerOffline" else waits,
        "labels": rule["labels"],
        "annotations": rule["annotations"],
        "alerts": [],
        "health": "err" if ill else "ok",
        **({"lastError": "vector contains metrics with the same labelset after applying alert labels"} if ill else {}),
        "evaluationTime": 0.0003,
        "lastEvaluation": stamp(4),
        "type": "alerting",
    }


def query(text: str, on: set[str]) -> Any:
    """The only series that anybody asks for: when the gate last ran, three hours ago."""
    found = re.fullmatch(r'(runner_preflight_last_run_timestamp_seconds)\{context="([^"]*)"\}', text)
    rows = []
    if found and "own-metrics-missing" not in on:
        metric = {"__name__": found[1], "context": found[2], "profile": "nightly", "instance": "control:9100"}
        rows = [{"metric": metric, "value": [time.time(), f"{time.time() - 3 * 3600:.3f}"]}]
    return {"resultType": "vector", "result": rows}


def status(on: set[str]) -> Any:
    config = yaml.safe_load((MONITORING / "alertmanager.yml").read_text("utf-8"))
    # Alertmanager serves what it understood, not what it read.
    for route in (config["route"], *config["route"]["routes"]):
        route.setdefault("continue", False)
    if "alerts-unrouted" in on:
        config["receivers"][0] = {"name": config["receivers"][0]["name"]}
    original = yaml.safe_dump(config)
    return {"cluster": {"status": "disabled"}, "config": {"original": original}, "versionInfo": {"version": "0.25.0"}}


def silences(on: set[str]) -> Any:
    muted = {
        "id": "4f8a4a4e-7d1b-4a5e-9b1a-2f8e4a0c9b11",
        "status": {"state": "active"},
        "updatedAt": stamp(7200),
        "comment": "the pager would not stop",
        "createdBy": "on-call",
        "startsAt": stamp(7200),
        "endsAt": stamp(-7 * 86400),
        "matchers": [{"isEqual": True, "isRegex": True, "name": "alertname", "value": "RunnerOffline.*"}],
    }
    ended = {**muted, "status": {"state": "expired"}, "endsAt": stamp(3600)}
    return [muted, ended] if "alerts-silenced" in on else [ended]


class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = Path()
    instances: tuple[str, ...] = ()

    def do_GET(self) -> None:
        on = set(json.loads((self.state / "troubles.json").read_text()))
        path, _, asked = self.path.partition("?")
        given = urllib.parse.parse_qs(asked)
        server = path.split("/")[1]
        if f"{server}-down" in on:
            return self.say(503, {"status": "error", "error": "Service Unavailable"})
        data: dict[str, Callable[[], Any]] = {
            "/prometheus/api/v1/targets": lambda: targets(self.instances, on),
            "/prometheus/api/v1/rules": lambda: rules(on),
            "/prometheus/api/v1/query": lambda: query(given.get("query", [""])[0], on),
            "/prometheus/api/v1/alertmanagers": lambda: {
                "activeAlertmanagers": []
                if "alertmanager-lost" in on
                else [{"url": "http://127.0.0.1:9093/api/v2/alerts"}],
                "droppedAlertmanagers": [],
            },
        }
        if path in data:
            return self.say(200, {"status": "success", "data": data[path]()})
        if path == "/alertmanager/api/v2/status":
            return self.say(200, status(on))
        if path == "/alertmanager/api/v2/silences":
            return self.say(200, silences(on))
        return self.say(404, {"status": "error", "errorType": "not_found"})

    def say(self, code: int, body: Any) -> None:
        raw = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: every gate asks several times a run."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.monitor", description="The lab's Prometheus and Alertmanager.")
    parser.add_argument("--listen", required=True, metavar="ADDRESS")
    parser.add_argument("--state", required=True, type=Path, metavar="DIR")
    parser.add_argument("--instances", required=True, metavar="NAMES")
    given = parser.parse_args()
    given.state.mkdir(parents=True, exist_ok=True)
    write(given.state / "troubles.json", "[]\n")
    Door.state, Door.instances = given.state, tuple(given.instances.split(","))
    with http.server.ThreadingHTTPServer((given.listen, 0), Door) as server:
        server.daemon_threads = True
        write(given.state / "port", f"{server.server_address[1]}\n")
        print(f"listening {given.listen} {server.server_address[1]}", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
