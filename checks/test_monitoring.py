"""Someone is told when one of these breaks between gates."""

from __future__ import annotations

from checks.guarantees import MONITORING, verifies
from fixtures.facts.context import Context, Runner
from fixtures.facts.limits import Limits
from fixtures.facts.monitoring import Alerts, Nightly, Scrapes, late
from fixtures.facts.routes import Routes


@verifies(
    MONITORING,
    "scraped",
    severity="warns",
    when="nightly",
    remedy="curl -sS {world.monitoring.prometheus}/api/v1/targets?state=active",
)
def test_scraped(world: Context, scrapes: Scrapes, approved: tuple[Runner, ...], limits: Limits) -> None:
    """Prometheus holds fresh samples of every approved runner's host, and of this suite's own runs."""
    missing = scrapes.missing(approved, limits.sample_age)
    assert not missing, "; ".join(missing)
    assert not scrapes.stale(limits.nightly_age), scrapes.stale(limits.nightly_age)


@verifies(
    MONITORING,
    "rules-loaded",
    severity="warns",
    when="nightly",
    remedy="promtool check rules contexts/monitoring/alerts.yml; curl -sS {world.monitoring.prometheus}/api/v1/rules",
)
def test_rules_loaded(world: Context, alerts: Alerts, scrapes: Scrapes, routes: Routes, limits: Limits) -> None:
    """The declared alerts are loaded and evaluated, and the urgent ones reach somebody in time."""
    assert not alerts.absent, f"Prometheus has no alert {', '.join(alerts.absent)}"
    assert not alerts.ill(), "; ".join(alerts.ill())
    groupings = {alert.name: routes.grouping(alert.name, dict(alert.labels)) for alert in alerts.loaded}
    slow = late(alerts, world.monitoring.urgent, scrapes.every, groupings, limits.noticed)
    assert not slow, "; ".join(slow)


@verifies(
    MONITORING,
    "someone-listens",
    severity="warns",
    when="nightly",
    remedy="amtool config routes test --alertmanager.url={world.monitoring.alertmanager} alertname=RunnerOffline",
)
def test_someone_listens(world: Context, alerts: Alerts, routes: Routes) -> None:
    """Prometheus sends to an Alertmanager, which brings every declared alert to a receiver where somebody listens."""
    assert routes.managers, routes
    labels = {alert.name: dict(alert.labels) for alert in alerts.loaded} | {name: {} for name in alerts.absent}
    deaf = [why for name, worn in labels.items() for why in routes.deaf(name, worn)]
    assert not deaf, "; ".join(deaf)


@verifies(
    MONITORING,
    "nightly-alive",
    severity="warns",
    when="quick",
    remedy="gh run list --repo {world.github.repository} --workflow {nightly.path} --limit 5",
)
def test_nightly_alive(world: Context, nightly: Nightly, limits: Limits) -> None:
    """The nightly itself succeeded lately."""
    assert nightly.alive(limits.nightly_age), nightly
