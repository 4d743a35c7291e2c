"""The files that make a directory a registered runner; the same for both engines."""

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path

from lab import target
from lab.world import REPOSITORY, RUNNER_VERSION, Host, Lab, Shape, host_key

AGENT = Path(__file__).resolve().parent / "agent"
HOOK = "ACTIONS_RUNNER_HOOK_JOB_STARTED=/opt/hooks/started.sh\n"
DIRECTORY = "/opt/actions-runner"
RUNNER, AUDIT = 1001, 1002
"""Ids of the runner's user and of the gate's, in the image; their groups have the same."""
DRY_RUN = "/opt/deploy/rollback --dry-run"
SCRIPTS = ("config.sh", "env.sh", "run.sh", "run-helper.sh.template", "safe_sleep.sh")
"""What lies in the directory of every runner, besides its programs and its registration."""
SERVICE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class File:
    """A file of a host: `owner` is the id of its user and of its group."""

    text: str
    mode: int = 0o644
    owner: int = 0


def host_with_systemd(name: str, number: int, address: str, shape: Shape) -> Host:
    return Host(name, number, address, 22, DIRECTORY, "runner", "audit", unit_name(name), shape)


def host_files(lab: Lab, host: Host, agent_id: int) -> dict[str, File]:
    """What makes a host of the image this host, by absolute path: its host key, the gate's key, unit and registration."""
    key = host_key(lab, host)
    found = {
        "/etc/ssh/ssh_host_ed25519_key": File(key.read_text(), 0o600),
        "/etc/ssh/ssh_host_ed25519_key.pub": File(key.with_suffix(".pub").read_text()),
        "/home/audit/.ssh/authorized_keys": File(
            "restrict " + (lab.state / "ssh/id_ed25519.pub").read_text(), 0o600, AUDIT
        ),
        f"/etc/systemd/system/{host.unit}": File(unit_text(host), 0o664),
    }
    if lab.named:
        from lab import credentials

        found |= {path: File(text, 0o640, AUDIT) for path, text in credentials.made().items()}
    config, known = target.runner_ssh(lab)
    found |= {
        "/etc/ssh/ssh_config.d/targets.conf": File(config),
        "/etc/ssh/ssh_known_hosts": File(known),
    }
    registration = runner_files(lab, host, agent_id)
    return found | {f"{DIRECTORY}/{name}": File(text, mode, RUNNER) for name, (text, mode) in registration.items()}


def service_script(host: Host) -> str:
    """`svc.sh`, as config.sh makes it: the names of unit and runner are in it."""
    text = (AGENT / "systemd.svc.sh.template").read_text()
    return text.replace("{unit}", host.unit).replace("{description}", f"{REPOSITORY.replace('/', '-')}.{host.name}")


def unit_name(name: str) -> str:
    """Upstream's rule: the repository's slash becomes a dash, the agent's name stays."""
    return f"actions.runner.{REPOSITORY.replace('/', '-')}.{name}.service"


def unit_text(host: Host) -> str:
    description = f"{REPOSITORY.replace('/', '-')}.{host.name}"
    template = (AGENT / "runner.service").read_text()
    return template.format(description=description, directory=host.directory, user=host.user)


def settings(lab: Lab, host: Host, agent_id: int) -> str:
    """`.runner`. The lab's own server is where the real one has its broker."""
    record = {
        "agentId": agent_id,
        "agentName": host.name,
        "poolId": 2,
        "poolName": "production",
        "serverUrl": "https://pipelinesghubeus13.actions.githubusercontent.com/RunnerPreflightLab/",
        "gitHubUrl": f"https://github.com/{REPOSITORY}",
        "workFolder": "_work",
        "useV2Flow": True,
        "serverUrlV2": f"{lab.api_url}/",
    }
    return json.dumps(record, indent=2)


def credentials() -> str:
    record = {
        "scheme": "OAuth",
        "data": {
            "clientId": "00000000-0000-4000-8000-000000000000",
            "authorizationUrl": "https://token.actions.githubusercontent.com/_apis/oauth2/token/lab",
            "requireFipsCryptography": "True",
        },
    }
    return json.dumps(record, indent=2)


def rsa_parameters(secret: str) -> str:
    """No key at all: the upstream field names, and in `d` the secret the stand-in knows."""
    junk = {
        name: base64.b64encode(f"runner-preflight lab {name}".encode()).decode()
        for name in ("dp", "dq", "inverseQ", "modulus", "p", "q")
    }
    return json.dumps({"d": secret, "exponent": "AQAB", **junk}, indent=2)


def runner_files(lab: Lab, host: Host, agent_id: int) -> dict[str, tuple[str, int]]:
    """Text and mode of each file of a registration, by its name in the runner's directory."""
    mark = "\ufeff"  # the runner writes its JSON with a byte order mark
    secret = (lab.github_state / "runner.key").read_text().strip()
    # Only a service reads .path. A plain process has the PATH of who started it, which nobody sees once it is dead.
    own = HOOK if host.unit else f"PATH={os.environ['PATH']}\n"
    files = {
        ".runner": (mark + settings(lab, host, agent_id), 0o644),
        ".credentials": (mark + credentials(), 0o644),
        ".credentials_rsaparams": (mark + rsa_parameters(secret), 0o600),
        ".env": (f"LANG=C.UTF-8\n{own}", 0o644),
        ".path": (SERVICE_PATH + "\n", 0o644),
    }
    if host.unit:
        files[".service"] = (f"{host.unit}\n", 0o644)
        files["svc.sh"] = (service_script(host), 0o755)
    return files


def dependencies() -> str:
    """`bin/Runner.Listener.deps.json`, where the installed version is read from."""
    library = {"type": "project", "serviceable": False, "sha512": ""}
    record = {
        "runtimeTarget": {"name": ".NETCoreApp,Version=v8.0/linux-x64", "signature": ""},
        "libraries": {f"Runner.Listener/{RUNNER_VERSION}": library},
    }
    return json.dumps(record, indent=2) + "\n"
