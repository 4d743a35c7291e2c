"""Faults of the way from a host to GitHub and to production: firewalls, proxies, certificates."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from lab import certificates, network
from lab.engine import on
from lab.fault import NSPAWN, Fault
from lab.faults_hosts import NOTHING, PRIMARY, STANDBY, health
from lab.process import run
from lab.world import Lab


def drop_github(lab: Lab) -> None:
    addresses = ", ".join(network.github_addresses(lab.subnet).values())
    rules = network.drop_rules("lab_github", "output", f"ip daddr {{ {addresses} }} tcp dport 443")
    run([*network.inside(lab, PRIMARY), "nft", "-f", "-"], rules)


def reject_results(lab: Lab) -> None:
    """One group of GitHub's hosts alone, and with an answer: what a firewall does that lists the others."""
    results = network.github_addresses(lab.subnet)["results"]
    rules = network.drop_rules("lab_github", "output", f"ip daddr {results} tcp dport 443")
    run([*network.inside(lab, PRIMARY), "nft", "-f", "-"], rules.replace(" drop\n", " reject with tcp reset\n"))


def pass_github(lab: Lab) -> None:
    run([*network.inside(lab, PRIMARY), "nft", "delete", "table", "inet", "lab_github"], check=False)


def shown(server: str, **how: Any) -> Callable[[Lab], None]:
    """`server` shows another certificate from its next connection on; with nothing said, a good one."""

    def act(lab: Lab) -> None:
        certificates.issue(lab, server, **how)

    return act


def env_line(line: str) -> tuple[Callable[[Lab], None], Callable[[Lab], None]]:
    """A line more in the primary's `.env`, and the way back."""

    def add(lab: Lab) -> None:
        on(lab, PRIMARY, f"echo '{line.format(address=lab.address)}' >> {lab.host(PRIMARY).directory}/.env")

    def remove(lab: Lab) -> None:
        name = line.partition("=")[0]
        on(lab, PRIMARY, f"sed -i '/^{name}=/d' {lab.host(PRIMARY).directory}/.env")

    return add, remove


BOTH_CERTIFIED = health(PRIMARY, "targets-certified") | health(STANDBY, "targets-certified")
BOTH_REACH = health(PRIMARY, "reaches-production") | health(STANDBY, "reaches-production")
BOTH_REACH_GITHUB = health(PRIMARY, "reaches-github") | health(STANDBY, "reaches-github")

FAULTS: tuple[Fault, ...] = (
    Fault("github-dropped", "A firewall drops what the primary sends to GitHub's hosts.",
          health(PRIMARY, "reaches-github"), NOTHING, NSPAWN, drop_github, pass_github, PRIMARY),
    Fault("github-results-rejected", "A firewall lets the primary reach GitHub, save where logs and artifacts go.",
          health(PRIMARY, "reaches-github"), NOTHING, NSPAWN, reject_results, pass_github, PRIMARY),
    Fault("proxy-dead", "The primary's runner is told to use a proxy that is gone; an SSH session knows nothing of it.",
          health(PRIMARY, "reaches-github"), NOTHING, NSPAWN, *env_line("https_proxy=http://{address}:9"), PRIMARY),
    Fault("github-intercepted", "Something on the way shows a certificate for GitHub that no host trusts.",
          BOTH_REACH_GITHUB, NOTHING, NSPAWN, shown("github", by=certificates.STRANGER), shown("github")),
    Fault("certificate-expired", "Production's certificate ended a month ago.",
          BOTH_CERTIFIED | BOTH_REACH, NOTHING, NSPAWN,
          shown("production", since=timedelta(days=-60), life=timedelta(days=30)), shown("production")),
    Fault("certificate-ending", "Production's certificate ends in five days, and nobody renews it.",
          BOTH_CERTIFIED, NOTHING, NSPAWN,
          shown("production", since=timedelta(days=-85), life=timedelta(days=90)), shown("production")),
)  # fmt: skip
