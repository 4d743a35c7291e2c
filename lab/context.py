"""The text of the context file: the world as the suite is told of it."""

import datetime
import grp
import os
from pathlib import Path

from lab import monitor, papers, rehearsal, target, tree
from lab.credentials import CERTIFICATE, JWT
from lab.process import run
from lab.world import REPOSITORY, Lab

REACHED = (
    "https://github.com/",
    "https://api.github.com/",
    "https://codeload.github.com/_ping",
    "https://broker.actions.githubusercontent.com/health",
    "https://vstoken.actions.githubusercontent.com/_apis/health",
    "https://pipelines.actions.githubusercontent.com/_apis/health",
    "https://results-receiver.actions.githubusercontent.com/health",
    "https://objects.githubusercontent.com/",
    "https://productionresultssa0.blob.core.windows.net/",
)
"""GitHub's addresses that a runner needs, under their own names: the lab's name server leads them to the stand-in."""


def context_text(lab: Lab, today: datetime.date | None = None, elsewhere: bool = False) -> str:
    """`.lab/context.yml`. Several engines, one shape; comments say where they differ and why.

    `elsewhere`: the file will stand in another place, where a workflow gives the token by the environment.
    """

    def at(path: Path) -> str:
        return quoted(str(path) if elsewhere else beside(lab, path))

    until = (today or datetime.datetime.now(datetime.UTC).date()) + datetime.timedelta(days=90)
    runners = "".join(runner_text(lab, index, until) for index in range(len(lab.hosts)))
    app = f"https://production.lab:{lab.app_port}" if lab.named else f"http://{lab.address}:{lab.app_port}"
    if lab.engine != "loopback":
        limits = "  disk_free: 32MiB   # the hosts' work directories hold 128 MiB\n  time_daemon: true\n"
    else:
        limits = (
            "  disk_free: 32MiB\n"
            "  # The clock is this machine's own, and so is the business of keeping it.\n"
            "  time_daemon: false\n"
        )
    reach = ", ".join(REACHED) if lab.named else f"{lab.api_url}/"
    # All hosts share one machine's memory and load; their own are what a fault gives them.
    dry_run = f"  dry_run: {{command: {tree.DRY_RUN}, seconds: 20}}\n" if lab.named else ""
    # The project's own deploy leaves releases on the target, and no artifacts.
    artifact = "" if elsewhere else '  artifact: "widgets-{sha}"\n'
    token = "env: PREFLIGHT_GITHUB_TOKEN" if elsewhere else f"file: {at(lab.token_file)}"
    limits += "  release_room: 32MiB\n"
    limits += "  memory_free: 64MiB\n  memory_free_percent: 1\n  load_per_cpu: 1000\n"
    return f"""# Written by `python -m lab up` (engine {lab.engine}), removed by `python -m lab down`.
version: 1
name: lab
github:
  api_url: {lab.api_url}
  repository: {REPOSITORY}
  reach: [{reach}]
  token: {{{token}}}
ssh:
  config: {at(lab.ssh_config)}
  sudo: {"false" if lab.engine == "loopback" else "true"}
environment:
  name: production
  requires: [reviewers, no-self-review, branch-policy, no-admin-bypass]
secrets: [DEPLOY_KEY, REGISTRY_TOKEN]
deploy:
  workflow: .github/workflows/deploy-production.yml
  job: deploy
  lock: production
  verify: Verify
  undo: Undo
  host_lock: {{host: {target.NAME}, path: {quoted(str(target.lock(lab)))}}}
rollback:
  workflow: .github/workflows/rollback.yml
  input: version
{artifact}  window: 14d
  releases:
    host: {target.NAME}
    directory: {quoted(str(target.releases(lab)))}
    current: {quoted(str(target.current(lab)))}
    complete: .complete
{dry_run}selectors:
  - {{uses: ./.github/workflows/preflight.yml, output: runs-on}}
runners:
{runners}targets:
  - {{name: app, url: "{app}/health", status: 200}}
  - {{name: database, tcp: "{lab.address}:{lab.database_port}"}}
{hosts_text(lab)}{drills_text(lab)}monitoring:
  prometheus: {monitor.address(lab)}/prometheus
  alertmanager: {monitor.address(lab)}/alertmanager
  job: node
  nightly: .github/workflows/nightly.yml
records:
  directory: {at(papers.directory(lab))}
  projects: [INFRA]
  watches: {quoted(beside(lab, papers.directory(lab) / papers.WATCHES))}
limits:
{limits}"""


def hosts_text(lab: Lab) -> str:
    """What the hosts must be. Without hosts of the lab's own, they are processes of this machine, with its rights."""
    if not lab.named:
        groups = ", ".join(sorted({grp.getgrgid(number).gr_name for number in (*os.getgroups(), os.getgid())}))
        return f"""hosts:
  tools: [{{name: curl, version: "7.0"}}]
  groups: [{groups}]
failover:
  one_machine: the hosts of this lab are processes of one machine
"""
    key = run(["ssh-keygen", "-lf", str(lab.state / "ssh" / "id_ed25519.pub")]).stdout.split()[1]
    return f"""hosts:
  tools:
    - {{name: curl, version: "7.68"}}
    - {{name: openssl, version: "1.1", ask: version}}
    - {{name: python3, version: "3.9"}}
  hooks: {{started: /opt/hooks/started.sh}}
  sudo: []
  keys: ["{key}"]
  sshd: [passwordauthentication no, permitrootlogin no]
  credentials:
    - {{name: the client certificate, path: {CERTIFICATE}}}
    - {{name: the registry's token, path: {JWT}}}
"""


def drills_text(lab: Lab) -> str:
    """Drills may act at any time. Limits are short: a runner that is gone shows at once here."""
    return f"""drills:
  allowed: true
  windows: [{{days: mon-sun, opens: "00:00", closes: "24:00"}}]
  runners: [{", ".join(host.name for host in lab.hosts)}]
  token: {{file: {quoted(beside(lab, lab.drill_token_file))}}}
  takeover: 60s
  switch: 120s
  lease: 30m
{rehearsal.context_text(lab)}"""


def beside(lab: Lab, path: Path) -> str:
    """Relative to the context file, as the suite reads it: a recording of the context then tells nothing of the machine."""
    return str(path.relative_to(lab.context_file.parent))


def runner_text(lab: Lab, index: int, until: datetime.date) -> str:
    host = lab.hosts[index]
    return f"""  - name: {host.name}
    role: {"primary" if index == 0 else "secondary"}
    host: {host.name}
    connection: ssh
    supervisor: {"systemd" if host.unit else "process"}
    directory: {quoted(host.directory)}
    user: {quoted(host.user)}
    group: production
    labels: [{", ".join(host.labels)}]
    runs_on: [self-hosted, {host.name}]
    approved: {{by: production-owner, ticket: INFRA-472, until: {until.isoformat()}}}
"""


def quoted(text: str) -> str:
    """A YAML scalar: plain where that is safe, else single-quoted."""
    plain = text and all(c.isalnum() or c in "/._-" for c in text) and not text[0].isdigit()
    return text if plain else "'" + text.replace("'", "''") + "'"
