"""Faults of what watches over production between gates, and of what people wrote down."""

import datetime
from collections.abc import Callable

from lab import monitor, papers
from lab.fault import BOTH, Fault
from lab.faults_github import world
from lab.world import Lab

NOTHING: frozenset[str] = frozenset()


def told(name: str, story: str, breaks: frozenset[str], unknown: frozenset[str] = NOTHING) -> Fault:
    """The monitoring is amiss, as the stand-in tells it."""

    def put(on: bool) -> Callable[[Lab], None]:
        return lambda lab: monitor.trouble(lab, name, on)

    return Fault(name, story, breaks, unknown, BOTH, put(True), put(False))


def of(*slugs: str) -> frozenset[str]:
    return frozenset(f"monitoring/{slug}" for slug in slugs)


def written(name: str, story: str, check: str, write: Callable[[Lab], None]) -> Fault:
    """A document says what is not, or nothing."""
    return Fault(name, story, frozenset({check}), NOTHING, BOTH, write, papers.lay)


def days_ago(days: int) -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=days)


def headless(lab: Lab) -> None:
    papers.put(papers.directory(lab) / "notes.md", "# Notes\n\nThe standby is the one with the blue cable.\n")


def outdated(lab: Lab) -> None:
    name, title = next(iter(papers.PAGES.items()))
    papers.put(papers.directory(lab) / name, papers.page(title, days_ago(31)))


def stray(lab: Lab) -> None:
    text = papers.page("Ours", days_ago(0)) + "\n## gpu-present\nThere is a GPU.\n"
    papers.put(papers.directory(lab) / "runner-health.md", text)


def stale_session(lab: Lab) -> None:
    path = papers.directory(lab) / "sessions" / papers.OWNER / "current-session.yml"
    papers.put(path, papers.session(days_ago(8), days_ago(20)))


def noticed_late(lab: Lab) -> None:
    papers.put(papers.directory(lab) / papers.WATCHES, papers.watches(datetime.timedelta(minutes=9)))


def watches_broken(lab: Lab) -> None:
    papers.put(papers.directory(lab) / papers.WATCHES, '{"format": 1, "time": "2026-01-0')


SEEN_BY_PROMETHEUS = of("scraped", "rules-loaded", "someone-listens")

FAULTS: tuple[Fault, ...] = (
    told("exporter-down", "Prometheus gets no answer from the primary's exporter.", of("scraped")),
    told("samples-stale", "Prometheus scraped the primary's host twenty minutes ago, and not since.", of("scraped")),
    told("own-metrics-missing", "Nobody writes the gate's own metrics any more.", of("scraped")),
    told(
        "rules-missing", "Prometheus was restarted without the alert for a runner that is offline.", of("rules-loaded")
    ),
    told("rule-failing", "The alert for an offline runner fails each time it is evaluated.", of("rules-loaded")),
    told("rule-slow", "Somebody made the alert for an offline runner wait ten minutes.", of("rules-loaded")),
    told("alerts-unrouted", "The receiver of pages lost its only integration.", of("someone-listens")),
    told("alerts-silenced", "A silence of a bad night still covers every offline runner.", of("someone-listens")),
    told("alertmanager-lost", "Prometheus has lost its Alertmanager.", of("someone-listens")),
    told("prometheus-down", "Prometheus does not answer.", NOTHING, SEEN_BY_PROMETHEUS),
    told("alertmanager-down", "Alertmanager does not answer.", NOTHING, of("rules-loaded", "someone-listens")),
    world("nightly-failed", "The last two nightlies failed, and nobody looked.", "monitoring/nightly-alive"),
    world("nightly-disabled", "GitHub disabled the nightly of a quiet repository.", "monitoring/nightly-alive"),
    world("deploy-unticketed", "A deploy of last week names no ticket.", "records/ticketed"),
    written("page-headless", "A page was added without its front matter.", "records/contexts-valid", headless),
    written("page-outdated", "A page was last updated 31 days ago.", "records/contexts-current", outdated),
    written(
        "session-stale", "A session is open, and its file is eight days old.", "records/session-current", stale_session
    ),
    written(
        "noticed-late", "A watch told of a dead runner nine minutes after its job began.", "pace/noticed", noticed_late
    ),
    Fault(
        "watches-unreadable",
        "The file of the watches was cut off in the middle of a line.",
        NOTHING,
        frozenset({"pace/noticed"}),
        BOTH,
        watches_broken,
        papers.lay,
    ),
    written(
        "page-explains-nothing", "A page explains a check that there is not.", "records/every-check-explained", stray
    ),
)
