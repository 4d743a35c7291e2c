"""What the lab's people wrote down: pages with front matter and a session, beside the lab's context, fresh of today."""

import datetime
from pathlib import Path

from lab.world import Lab, write

OWNER = "platform"
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


def lay(lab: Lab) -> None:
    """Everything anew, as it is in a healthy lab."""
    today = datetime.datetime.now(datetime.UTC).date()
    root = directory(lab)
    for name, title in PAGES.items():
        put(root / name, page(title, today))
    put(root / "sessions" / OWNER / "current-session.yml", session(today, today - datetime.timedelta(days=3)))
    for stray in root.glob("*.md"):
        stray.unlink()


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, text)
