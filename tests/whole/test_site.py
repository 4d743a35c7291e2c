"""A team's own checks in checks/site/: over the suite's own SSH, counted by the verdict like any other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.whole.conftest import Checkout

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]

SITE = '''
from checks.guarantees import RUNNER_HEALTH, verifies


@verifies(RUNNER_HEALTH, "no-motd", severity="blocks", when="quick", per="runner", remedy="ssh {runner.host} sudo rm /etc/motd")
def test_no_motd(runner, host):
    """The host greets nobody."""
    assert host.run("true").rc == 0
    assert not host.file("/srv/greeting").exists, f"{runner} greets"
'''


@pytest.fixture
def site(lab: Checkout) -> Iterator[Checkout]:
    place = lab.root / "checks" / "site"
    place.mkdir()
    (place / "__init__.py").touch()
    (place / "test_greeting.py").write_text(SITE)
    yield lab
    for path in place.rglob("*"):
        if path.is_file():
            path.unlink()
    lab.run(["rm", "-r", str(place)])
    lab.lab("shell", "prod-runner-01", "rm", "-f", "/srv/greeting", code=None)


def test_a_check_of_the_team_holds_and_breaks_on_the_right_machine(site: Checkout) -> None:
    ran = site.gate(code=0)
    mine = [c["outcome"] for c in ran.verdict["checks"] if c["check"] == "runner-health/no-motd"]
    assert mine == ["held", "held"]
    engine = site.lab("status").split()[1].rstrip(",")
    if engine != "nspawn":
        pytest.skip(f"engine {engine}: its hosts share one file system, so a file on one is on both")
    site.lab("shell", "prod-runner-01", "touch", "/srv/greeting")
    ran = site.gate(code=0)
    assert ran.line == "√ deploy on prod-runner-02 (failover: prod-runner-01 fails runner-health/no-motd)"
