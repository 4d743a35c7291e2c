"""What the documents say is what is true."""

from __future__ import annotations

from checks.guarantees import RECORDS, verifies
from fixtures.facts.context import Context
from fixtures.facts.limits import Limits
from fixtures.facts.records import Explained, Orders, Pages, Sessions, foreign, tickets


@verifies(
    RECORDS,
    "contexts-valid",
    severity="warns",
    when="nightly",
    remedy="head -n 12 {pages.root}/*.md",
)
def test_contexts_valid(pages: Pages) -> None:
    """Every page has its front matter, with keys that say what they should."""
    assert not pages.invalid(), "; ".join(pages.invalid())


@verifies(
    RECORDS,
    "contexts-current",
    severity="warns",
    when="nightly",
    remedy="grep -rn last_updated: {pages.root} --include=*.md",
)
def test_contexts_current(pages: Pages, limits: Limits) -> None:
    """No page is older than its limit, nor older than the world file that it describes."""
    assert not pages.outdated(limits.page_age), "; ".join(pages.outdated(limits.page_age))


@verifies(
    RECORDS,
    "ticketed",
    severity="warns",
    when="nightly",
    remedy="gh run list --repo {world.github.repository} --workflow {world.deploy.workflow} --limit 30",
)
def test_ticketed(world: Context, orders: Orders) -> None:
    """Deploys, approvals and waivers name a ticket of the declared form."""
    projects = world.records.projects
    assert not foreign(tickets(world), projects), "; ".join(foreign(tickets(world), projects))
    if world.records.deploys:
        unnamed = orders.unnamed(projects)
        assert not unnamed, f"{len(unnamed)} production runs name no ticket: {'; '.join(unnamed[:5])}"


@verifies(
    RECORDS,
    "session-current",
    severity="warns",
    when="nightly",
    remedy="cat {sessions.root}/sessions/*/current-session.yml",
)
def test_session_current(sessions: Sessions, limits: Limits) -> None:
    """The file of every session is valid, and fresh while its work is open."""
    assert not sessions.amiss(limits.session_age), "; ".join(sessions.amiss(limits.session_age))


@verifies(
    RECORDS,
    "every-check-explained",
    severity="warns",
    when="nightly",
    remedy="grep -n '^## ' contexts/*.md",
)
def test_every_check_explained(explained: Explained) -> None:
    """Every check has its heading in its guarantee's page, and every heading its check."""
    assert not explained.silent, f"no page explains {', '.join(explained.silent)}"
    assert not explained.strays, f"these headings explain no check: {', '.join(explained.strays)}"
