"""What the lab's people wrote down: pages with front matter and a session, beside the lab's context, fresh of today."""

import datetime
import json
from pathlib import Path

from lab.world import Lab, write

OWNER = "platform"
WATCHES = "watches.jsonl"
PAGES = {
    "infrastructure/github-runners.md": "Where production's runners are, and who answers for them",
    "infrastructure/monitoring-stack.md": "Who is told, and how soon",
}


def directory(lab: Lab) -> Path:
    return lab.state / "records"


def page(title: str, day: datetime.date, more: str = "") -> str:
    return (
        f"---\ntitle: {title}\nlast_updated: {day}\nowner: {OWNER}\nservices: [github-runners]\n"
        f"dependencies: [ssh, github-api]\njira_tickets: [INFRA-472]\n{more}---\n# {title}\n"
    )


def session(updated: datetime.date, started: datetime.date) -> str:
    return (
        f"owner: {OWNER}\nticket: INFRA-472\nstate: open\ngoal: A standby takes over within five minutes.\n"
        f"started: {started}\nupdated: {updated}\nbranch: 001-github-runner-deploy\n"
    )


def watches(late: datetime.timedelta) -> str:
    """What two watches of this week wrote down: a deploy that went well, and one whose runner's failure was told of so late."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    began = now - datetime.timedelta(days=2)

    def line(run: int, time: datetime.datetime, word: str, says: str, troubles: list[dict[str, object]]) -> str:
        about = {"context": "lab", "run": run, "attempt": 1, "workflow": ".github/workflows/deploy-production.yml"}
        rest = {"word": word, "says": says, "ended": "", "cancelled": "", "seconds": 95.0, "looks": 7, "requests": 30}
        return json.dumps({"format": 1, "time": time.isoformat(), **about, **rest, "troubles": troubles}) + "\n"

    says = "'deploy' (job 2) will not end well on prod-runner-01: no Runner.Listener runs on prod-runner-01"
    trouble: dict[str, object] = {
        "word": "broken", "cause": "listener-gone", "certain": True, "job": 2, "name": "deploy", "runner": "prod-runner-01",
        "started": began.isoformat(), "well": began.isoformat(), "said": (began + late).isoformat(), "says": says,
    }  # fmt: skip
    well = line(1, now - datetime.timedelta(days=1), "held", "'deploy' (job 1) succeeded on prod-runner-01", [])
    return line(2, began + late, "broken", says, [trouble]) + well


def lay(lab: Lab) -> None:
    """Everything anew, as it is in a healthy lab."""
    today = datetime.datetime.now(datetime.UTC).date()
    root = directory(lab)
    for name, title in PAGES.items():
        put(root / name, page(title, today))
    put(root / "sessions" / OWNER / "current-session.yml", session(today, today - datetime.timedelta(days=3)))
    put(root / WATCHES, watches(datetime.timedelta(seconds=95)))
    for stray in root.glob("*.md"):
        stray.unlink()


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, text)
