"""A deploy takes ten minutes; a broken runner is noticed in five."""

from __future__ import annotations

from checks.guarantees import PACE, verifies
from fixtures.facts.context import Context, Limits
from fixtures.facts.record import Durations


@verifies(
    PACE,
    "p95",
    severity="warns",
    when="nightly",
    remedy="gh run list --repo {world.github.repository} --workflow {world.deploy.workflow} --limit 30",
)
def test_p95(world: Context, durations: Durations, limits: Limits) -> None:
    """The 95th percentile of production deploys is within the limit."""
    assert durations.p95(limits.deploy_samples) <= limits.deploy_p95, durations
