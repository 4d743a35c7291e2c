"""The text of the context file: the world as the suite is told of it."""

import datetime
from pathlib import Path

from lab.world import REPOSITORY, Lab


def context_text(lab: Lab, today: datetime.date | None = None) -> str:
    """`.lab/context.yml`. Two engines, one shape; comments say where they differ and why."""
    until = (today or datetime.datetime.now(datetime.UTC).date()) + datetime.timedelta(days=90)
    runners = "".join(runner_text(lab, index, until) for index in range(len(lab.hosts)))
    app = f"https://production.lab:{lab.app_port}" if lab.named else f"http://{lab.address}:{lab.app_port}"
    if lab.engine == "nspawn":
        limits = "  disk_free: 32MiB   # the hosts' work directories hold 128 MiB\n  time_daemon: true\n"
    else:
        limits = (
            "  disk_free: 32MiB\n"
            "  # The clock is this machine's own, and so is the business of keeping it.\n"
            "  time_daemon: false\n"
        )
    return f"""# Written by `python -m lab up` (engine {lab.engine}), removed by `python -m lab down`.
version: 1
name: lab
github:
  api_url: {lab.api_url}
  repository: {REPOSITORY}
  token: {{file: {quoted(beside(lab, lab.token_file))}}}
ssh:
  config: {quoted(beside(lab, lab.ssh_config))}
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
rollback:
  workflow: .github/workflows/rollback.yml
  input: version
  artifact: "widgets-{{sha}}"
  window: 14d
selectors:
  - {{uses: ./.github/workflows/preflight.yml, output: runs-on}}
runners:
{runners}targets:
  - {{name: app, url: "{app}/health", status: 200}}
  - {{name: database, tcp: "{lab.address}:{lab.database_port}"}}
limits:
{limits}"""


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
