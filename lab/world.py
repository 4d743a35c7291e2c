"""One lab: its names, addresses, files and memory. Everything here is the same for both engines.

Small state lives in `.lab/` of the checkout; `down` removes it. `lab.json` is written before
anything is started, so that a later call knows what a killed one was doing.
"""

import fcntl
import hashlib
import http.client
import json
import os
import secrets
import shlex
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.process import LabError, OverdueError, run, until

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "acme/widgets"
RUNNER_VERSION = "2.336.0"
PORTS = 6
"""How many ports a lab has at its address."""
QUIET_SECONDS = 1.5
"""A listener polls every second."""
MARK = "RUNNER_PREFLIGHT_LAB"
"""Environment variable that every process the lab starts outside its hosts carries; its value is the lab's id."""


GITHUB_NAMES = {
    "api": ("github.com", "api.github.com", "codeload.github.com"),
    "broker": ("broker.actions.githubusercontent.com",),
    "actions": ("*.actions.githubusercontent.com",),
    "results": ("results-receiver.actions.githubusercontent.com", "*.blob.core.windows.net"),
    "downloads": (
        "objects.githubusercontent.com",
        "objects-origin.githubusercontent.com",
        "release-assets.githubusercontent.com",
        "github-releases.githubusercontent.com",
        "github-registry-files.githubusercontent.com",
        "pkg.actions.githubusercontent.com",
        "pkg-containers.githubusercontent.com",
        "ghcr.io",
    ),
}
"""Names of GitHub's that a runner needs (GitHub's list for self-hosted runners), by what stops when they do."""


def lab_id(root: Path = ROOT) -> str:
    """Eight hex digits, the same for the same checkout path."""
    return hashlib.sha256(str(root).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Shape:
    """What a host is given. Sizes as mount(8) writes them, such as 512m; `memory` is "" for no limit."""

    disk: str = "512m"
    work: str = "128m"
    """The runner's work directory is a file system of its own: small, so that a fault can fill it at once."""
    memory: str = ""
    image: str = ""
    """The image's variant: "", or one of `image.VARIANTS`."""


@dataclass(frozen=True)
class Host:
    """One runner host. `port` is sshd's; `unit` is empty where there is no service."""

    name: str
    number: int
    address: str
    port: int
    directory: str
    user: str
    login: str
    unit: str = ""
    shape: Shape = Shape()

    @property
    def labels(self) -> tuple[str, ...]:
        return ("self-hosted", "Linux", "X64", "production", self.name)


@dataclass
class Lab:
    """A lab that is up, coming up, or was left behind."""

    engine: str
    hosts: tuple[Host, ...] = ()
    subnet: int = 0
    """Third octet of 10.77.N.0/24 (engine `nspawn`)."""
    address: str = "127.0.0.1"
    """Where the stand-in and the production targets listen."""
    api_port: int = 0
    app_port: int = 0
    database_port: int = 0
    target_port: int = 0
    rehearsal_port: int = 0
    """Where the machine that drills rehearse on takes SSH; `site_port` is what it serves."""
    site_port: int = 0
    broken: list[str] = field(default_factory=list)
    """Names of the injected faults, oldest first."""
    root: Path = ROOT

    @property
    def id(self) -> str:
        return lab_id(self.root)

    @property
    def named(self) -> bool:
        """Whether the hosts have names and certificates of the lab: only where they have a network of their own."""
        return self.engine == "nspawn"

    @property
    def state(self) -> Path:
        return self.root / ".lab"

    @property
    def run_dir(self) -> Path:
        """Where this lab's mounts are: a checkout's path may be too long or too odd for them."""
        return Path("/run") / f"runner-preflight-lab-{self.id}"

    @property
    def prefix(self) -> str:
        """Start of the names of links, machines and cgroups."""
        return f"rp-{self.id}"

    @property
    def api_url(self) -> str:
        return f"http://{self.address}:{self.api_port}"

    @property
    def github_state(self) -> Path:
        return self.state / "github"

    @property
    def token_file(self) -> Path:
        return self.state / "token"

    @property
    def drill_token_file(self) -> Path:
        """Of the drills' own token: it may order runs, and write the repository's variables."""
        return self.state / "drill-token"

    @property
    def ssh_config(self) -> Path:
        return self.state / "ssh_config"

    @property
    def context_file(self) -> Path:
        return self.state / "context.yml"

    def take_ports(self, ports: Sequence[int]) -> None:
        """Those at `address`, `PORTS` of them."""
        self.api_port, self.app_port, self.database_port, self.target_port, self.rehearsal_port, self.site_port = ports

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(f"no host {name!r} in this lab; there are {', '.join(h.name for h in self.hosts)}")

    def save(self) -> None:
        record = asdict(self)
        del record["root"]
        write(self.state / "lab.json", json.dumps(record, indent=2) + "\n", 0o600)

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the stand-in: control paths (`/_lab/...`) with the lab's key, the others with the token.

        The parsed JSON answer, None when it has no body. LabError when it is not a success.
        """
        request = urllib.request.Request(self.api_url + path, method=method)
        if path.startswith("/_lab/"):
            request.add_header("X-Lab-Key", (self.github_state / "lab.key").read_text().strip())
        else:
            request.add_header("Authorization", f"Bearer {self.token_file.read_text().strip()}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        # A proxy of the surroundings has no way to the lab.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=5) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise LabError(f"{method} {path}: {error.code} {error.read(500).decode(errors='replace')}") from error
        except (OSError, http.client.HTTPException) as error:
            raise LabError(f"{method} {path}: {error}") from error
        try:
            return json.loads(text) if text.strip() else None
        except ValueError as error:
            raise LabError(f"{method} {path}: the answer is no JSON: {text[:80]!r}") from error

    def runners(self) -> dict[str, Mapping[str, Any]]:
        """Runners of repository and organisation by name, as GitHub lists them (`id`, `status`, `busy`, ...)."""
        found: dict[str, Mapping[str, Any]] = {}
        for owner in (f"repos/{REPOSITORY}", f"orgs/{REPOSITORY.partition('/')[0]}"):
            answer = self.request("GET", f"/{owner}/actions/runners?per_page=100")
            found |= {r["name"]: r for r in answer["runners"]}
        return found

    def online(self, name: str) -> bool:
        try:
            return self.runners().get(name, {}).get("status") == "online"
        except LabError:
            return False

    def wait_online(self, name: str, seconds: float = 30.0) -> None:
        until(lambda: self.online(name), f"{name} to be online at the stand-in", seconds, 0.2)

    def fell_silent(self, name: str) -> None:
        """Tell the stand-in that a runner's listener is dead, which it would notice later by itself."""
        self.request("POST", f"/_lab/runners/{name}/silent")

    def wait_offline(self, name: str, seconds: float = 20.0) -> None:
        """Until the runner has been offline at the stand-in for longer than a living one pauses between polls.

        The stand-in is told not to wait for its own limit first: that is what made most faults slow.
        """
        deadline = time.monotonic() + seconds
        told = 0.0
        while True:
            if self.runners().get(name, {}).get("status") != "offline":
                if time.monotonic() > deadline:
                    raise LabError(f"waited {seconds:.0f} s in vain: {name} to be offline at the stand-in")
                self.fell_silent(name)
                told = time.monotonic()
            elif time.monotonic() - told > QUIET_SECONDS:
                return
            time.sleep(0.1)

    def ssh(self, name: str, command: str, seconds: float = 10.0, connect: int = 5) -> "tuple[int, str, str]":
        """Log in as the gate does: exit code (255 when ssh itself failed or took too long), output, errors.

        `connect` are the seconds that the connection and the first word of sshd may take, `seconds` the whole.
        """
        options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={connect}"]
        argv = ["ssh", "-F", str(self.ssh_config), *options, name, command]
        try:
            done = run(argv, check=False, seconds=seconds)
        except OverdueError as error:
            return 255, "", str(error)
        return done.returncode, done.stdout, done.stderr


def load(root: Path = ROOT) -> Lab | None:
    """The lab that this checkout remembers; None when it remembers none, or what another version of the lab wrote.

    What such a lab left is found by its id all the same.
    """
    try:
        record = json.loads((root / ".lab" / "lab.json").read_text())
        record["hosts"] = tuple(Host(**{**h, "shape": Shape(**h["shape"])}) for h in record["hosts"])
        return Lab(root=root, **record)
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return None


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace `path` whole: a reader, and a kill, find the old text or the new one."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    part.replace(path)


@contextmanager
def locked(root: Path = ROOT, seconds: float = 0.0) -> Iterator[None]:
    """Be the only one that changes this checkout's lab; LabError when another still does after `seconds`."""
    state = root / ".lab"
    state.mkdir(mode=0o755, exist_ok=True)
    deadline = time.monotonic() + seconds
    while True:
        state.mkdir(mode=0o755, exist_ok=True)
        with open(state / "lock", "a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    raise LabError(
                        f"another lab command is at work here (pid {file.read().strip() or 'unknown'})"
                    ) from None
                time.sleep(0.1)
                continue
            try:
                same = os.fstat(file.fileno()).st_ino == (state / "lock").stat().st_ino
            except FileNotFoundError:
                same = False
            if not same:
                # `down` removed the file while we waited for it.
                continue
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield
            return


def make_secrets(lab: Lab) -> None:
    """Token, keys of the stand-in, the gate's SSH key, one host key for each host and the ssh client's files."""
    for folder in (lab.state / "ssh", lab.state / "log", lab.github_state):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(lab.token_file, f"ghp_lab{secrets.token_hex(16)}\n", 0o600)
    write(lab.drill_token_file, f"ghp_lab{secrets.token_hex(16)}\n", 0o600)
    write(lab.github_state / "lab.key", secrets.token_hex(16) + "\n", 0o600)
    write(lab.github_state / "runner.key", secrets.token_hex(16) + "\n", 0o600)
    make_key(lab.state / "ssh" / "id_ed25519", "runner-preflight-lab")
    for host in lab.hosts:
        make_key(host_key(lab, host), host.name)
    write(lab.state / "known_hosts", known_hosts(lab), 0o600)
    write(lab.ssh_config, ssh_config(lab), 0o600)


def make_key(path: Path, comment: str) -> None:
    for old in (path, path.with_name(path.name + ".pub")):
        old.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])


def host_key(lab: Lab, host: Host) -> Path:
    return lab.state / "ssh" / f"host_{host.name}"


def known_hosts(lab: Lab) -> str:
    lines = []
    for host in lab.hosts:
        kind, key = host_key(lab, host).with_suffix(".pub").read_text().split()[:2]
        place = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
        lines.append(f"{place} {kind} {key}\n")
    return "".join(lines)


def ssh_config(lab: Lab) -> str:
    """The client's configuration, an entry a host, nothing taken from the person's own."""
    entries = []
    for host in lab.hosts:
        entries.append(
            f"Host {host.name}\n"
            f"  HostName {host.address}\n"
            f"  Port {host.port}\n"
            f"  User {host.login}\n"
            f'  IdentityFile "{lab.state / "ssh" / "id_ed25519"}"\n'
            "  IdentitiesOnly yes\n"
            f'  UserKnownHostsFile "{lab.state / "known_hosts"}"\n'
            "  GlobalKnownHostsFile /dev/null\n"
            "  StrictHostKeyChecking yes\n"
        )
    return "\n".join(entries)


def environment(lab: Lab) -> str:
    """Shell assignments for `eval "$(python -m lab env)"`."""
    values = {
        "PREFLIGHT_CONTEXT": str(lab.context_file),
        "GITHUB_API_URL": lab.api_url,
        "PREFLIGHT_GITHUB_TOKEN": lab.token_file.read_text().strip(),
        "PREFLIGHT_SSH_CONFIG": str(lab.ssh_config),
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def give_back(lab: Lab) -> None:
    """Under sudo, hand `.lab/` to who called it: the suite runs as that person and reads the keys."""
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.geteuid() != 0 or not user or not group:
        return
    for path in (lab.state, *lab.state.rglob("*")):
        os.chown(path, int(user), int(group), follow_symlinks=False)


def clear(root: Path = ROOT) -> None:
    """Empty the state directory, all but the lock."""
    for path in sorted((root / ".lab").iterdir()):
        if path.name == "lock":
            continue
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def forget(root: Path = ROOT) -> None:
    """Remove the state directory, the lock last."""
    state = root / ".lab"
    clear(root)
    (state / "lock").unlink(missing_ok=True)
    state.rmdir()
