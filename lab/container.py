"""Engines `podman` and `docker`: every host is a container of the same image, with systemd as its first process.

For machines that have a container engine and not the rest of what `nspawn` needs. Hosts have a systemd, a journal, an
sshd, users and files of their own; they share the engine's disk, and there is no switch, no name server and no TLS of
the lab's: faults of the network below sshd, of mounts and of power need `nspawn`.
"""

import io
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from lab import containers, image, network, tree
from lab.outside import free_ports
from lab.process import LabError, run, until
from lab.shape import size_bytes
from lab.systemd import Systemd
from lab.world import PORTS, RUNNER_VERSION, Host, Lab, Shape

SYSTEMD = {
    # AUDIT_WRITE: sshd writes a record of each login, and refuses the login where it cannot.
    "podman": ("--systemd=always", "--cap-add=AUDIT_WRITE,NET_ADMIN,NET_RAW,SYS_PTRACE"),
    # Less than --privileged: a systemd mounts, and makes control groups below its own.
    "docker": (
        "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cap-add=SYS_PTRACE", "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined", "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
        "--tmpfs=/run", "--tmpfs=/run/lock",
    ),
}  # fmt: skip
"""What lets a systemd be the first process, by engine."""
MIRROR_BASE = "docker.io/library/debian:bookworm-slim"
"""Where there is no mmdebstrap, as on other systems than Debian's, the same packages are laid on this."""


class Container(Systemd):
    """Hosts of `podman` or `docker`, at addresses of a bridge of their own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def plan(self, lab: Lab, shapes: Mapping[str, Shape]) -> None:
        if any(shape.image or shape.disk != Shape.disk for shape in shapes.values()):
            raise LabError(f"engine {self.name}: hosts share the engine's disk and have one image")
        lab.subnet = network.choose_subnet(lab.id, network.probe_taken())
        lab.address = network.switch_address(lab.subnet)
        lab.hosts = tuple(
            tree.host_with_systemd(name, number, network.host_address(lab.subnet, number), shape)
            for number, (name, shape) in enumerate(shapes.items(), start=1)
        )

    def provide(self, shapes: Mapping[str, Shape], say: Callable[[str], None]) -> None:
        ensure_image(self.name, say)

    def prepare(self, lab: Lab) -> None:
        subnet = f"{network.NETWORK}.{lab.subnet}.0/24"
        options = ["--label", containers.label(lab), "--subnet", subnet, "--gateway", lab.address]
        run([self.name, "network", "create", *options, lab.prefix])
        # podman makes the bridge, and with it the lab's own address, when the first container comes.
        with ThreadPoolExecutor(len(lab.hosts)) as pool:
            list(pool.map(lambda host: self.create(lab, host), lab.hosts))
        lab.take_ports(free_ports(lab.address, 8080, PORTS))

    def create(self, lab: Lab, host: Host) -> None:
        options = [
            "--detach", "--name", containers.name(lab, host), "--hostname", host.name, "--label", containers.label(lab),
            "--network", lab.prefix, "--ip", host.address, *SYSTEMD[self.name],
            f"--tmpfs={tree.DIRECTORY}/_work:size={host.shape.work},mode=0777",
        ]  # fmt: skip
        if host.shape.memory:
            options.append(f"--memory={size_bytes(host.shape.memory)}b")
        run([self.name, "run", *options, image_name()], seconds=120)

    def start(self, lab: Lab, host: Host, agent_id: int) -> None:
        if not self.alive(lab, host):
            self.create(lab, host)
        until(lambda: self.booted(lab, host), f"{host.name} to boot", 60, 0.1)
        packed = archive(tree.host_files(lab, host, agent_id))
        command = [self.name, "exec", "--interactive", containers.name(lab, host), "tar", "-C", "/", "-xpf", "-"]
        done = subprocess.run(command, input=packed, capture_output=True, timeout=60)
        if done.returncode:
            raise LabError(f"cannot write the files of {host.name}: {done.stderr.decode(errors='replace')[-500:]}")
        script = (
            f"chown {tree.RUNNER}:{tree.RUNNER} {host.directory}/_work; chmod 0755 {host.directory}/_work\n"
            f"systemctl daemon-reload\nsystemctl restart ssh\nsystemctl enable --quiet --now {host.unit}\n"
        )
        self.administer(lab, host, script)
        until(lambda: lab.ssh(host.name, "true")[0] == 0, f"{host.name} to answer SSH", 60, 0.1)

    def booted(self, lab: Lab, host: Host) -> bool:
        """Whether its systemd takes orders. Without host keys sshd has failed by then, which makes it `degraded`."""
        if not self.alive(lab, host):
            log = run([self.name, "logs", containers.name(lab, host)], check=False)
            raise LabError(f"{host.name} did not boot:\n{(log.stdout + log.stderr)[-2000:]}")
        argv = self.command(lab, host, ["systemctl", "is-system-running"])
        return run(argv, check=False).stdout.strip() in ("running", "degraded")

    def reset(self, lab: Lab, host: Host, agent_id: int) -> None:
        run([self.name, "rm", "--force", "--volumes", containers.name(lab, host)], seconds=60)
        lab.fell_silent(host.name)
        self.start(lab, host, agent_id)

    def alive(self, lab: Lab, host: Host) -> bool:
        argv = [self.name, "inspect", "--format", "{{.State.Running}}", containers.name(lab, host)]
        return run(argv, check=False).stdout.strip() == "true"

    def command(self, lab: Lab, host: Host, argv: Sequence[str]) -> list[str]:
        clean = ["env", "-i", "HOME=/root", f"PATH={tree.SERVICE_PATH}"]
        return [self.name, "exec", "--interactive", containers.name(lab, host), *clean, *argv]

    def silence(self, lab: Lab, host: Host, silent: bool) -> None:
        # Made if it is not there, so that its removal cannot fail for that.
        rules = "table inet lab_silence\ndelete table inet lab_silence\n"
        if silent:
            rules += network.drop_rules("lab_silence", "input", "tcp dport 22")
        self.administer(lab, host, f"nft -f - <<'END'\n{rules}END\n")


def archive(files: Mapping[str, tree.File]) -> bytes:
    """The files as a tar archive, from the root on."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, file in files.items():
            data = file.text.encode()
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode, member.mtime = len(data), file.mode, int(time.time())
            member.uid = member.gid = file.owner
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def image_name() -> str:
    return f"localhost/runner-preflight-lab:{image.tree_key()}"


def containerfile(base: str, *, bare: bool) -> str:
    """How the image is made from `base`; from a `bare` Debian the packages come first."""
    excluded = "".join(f"path-exclude={pattern}\\n" for pattern in image.EXCLUDED)
    install = (
        f"RUN printf '{excluded}' > /etc/dpkg/dpkg.cfg.d/lab && apt-get update && DEBIAN_FRONTEND=noninteractive"
        f" apt-get install --yes --no-install-recommends {' '.join(image.PACKAGES)} && rm -rf /var/lib/apt/lists/*\n"
    )
    return (
        f"FROM {base}\n{install if bare else ''}COPY agent /tmp/agent\n"
        f"RUN sh /tmp/agent/customise.sh {RUNNER_VERSION} && rm -r /tmp/agent\n"
        'STOPSIGNAL SIGRTMIN+3\nCMD ["/sbin/init"]\n'
    )


def ensure_image(cli: str, say: Callable[[str], None]) -> None:
    """Build the image of this version of the lab, unless the engine has it."""
    if run([cli, "image", "inspect", image_name()], check=False).returncode == 0:
        return
    started = time.monotonic()
    tarball = image.tarball(say)
    base = MIRROR_BASE
    if tarball is not None:
        base = f"localhost/runner-preflight-base:{image.tarball_key()}"
        say(f"image: taking {tarball.name} into {cli}")
        # Not every engine reads this compression, and not every machine has a program for it.
        script = (
            'if command -v zstd >/dev/null; then zstd -dc "$1" | "$2" import - "$3"; else "$2" import "$1" "$3"; fi'
        )
        run(["sh", "-c", script, "sh", str(tarball), cli, base], seconds=300)
    folder = image.AGENT.parent
    command = [cli, "build", "--tag", image_name(), "--file", "-", str(folder)]
    if cli == "docker":
        # Its older builder takes a Containerfile from its input only without a folder beside it.
        file = image.cache() / "Containerfile"
        file.write_text(containerfile(base, bare=tarball is None))
        command[command.index("-")] = str(file)
    run(command, containerfile(base, bare=tarball is None), seconds=600)
    say(f"image: {image_name()} in {time.monotonic() - started:.1f} s")
