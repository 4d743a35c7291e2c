"""Engine `nspawn`: every host is a Debian with its own systemd, sshd, journald, disk and address.

A host's disk is an overlay: the cached image below, a tmpfs above (512 MiB unless its shape says otherwise). All mounts are below
one private tmpfs (`Lab.run_dir`); all processes are in one cgroup of each hierarchy (`rp-ID/HOST`).
"""

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab import distance, image, kernel, leftovers, limits, names, network, tls, tree
from lab.outside import environment, free_ports
from lab.process import LabError, run, until
from lab.shape import size_bytes
from lab.systemd import Systemd
from lab.world import PORTS, Host, Lab, Shape, write

WORK = "nr_inodes=4096,mode=0755,uid=1001,gid=1001"
"""Mount options of a runner's `_work`, beside its size."""
TUN = Path("/dev/net/tun")


class Nspawn(Systemd):
    """Real hosts."""

    name = "nspawn"

    def plan(self, lab: Lab, shapes: Mapping[str, Shape]) -> None:
        lab.subnet = network.choose_subnet(lab.id, network.probe_taken())
        lab.address = network.uplink_address(lab.subnet)
        lab.hosts = tuple(
            tree.host_with_systemd(name, number, network.host_address(lab.subnet, number), shape)
            for number, (name, shape) in enumerate(shapes.items(), start=1)
        )

    def provide(self, shapes: Mapping[str, Shape], say: Callable[[str], None]) -> None:
        for variant in sorted({shape.image for shape in shapes.values()}):
            image.ensure(say, variant)

    def prepare(self, lab: Lab) -> None:
        lab.run_dir.mkdir(mode=0o755)
        kernel.raise_limit()
        run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=16m", lab.prefix, str(lab.run_dir)])
        # Other programs' mount namespaces must not keep copies of the lab's mounts.
        run(["mount", "--make-private", str(lab.run_dir)])
        (lab.run_dir / "locks").mkdir()
        network.make_switch(lab)
        names.make_zone(lab, network.github_addresses(lab.subnet))
        # Here, for its library takes longer to load than most commands of the lab take.
        from lab import certificates

        certificates.make_all(lab)
        lab.take_ports(free_ports(lab.address, 8080, PORTS))

    def start(self, lab: Lab, host: Host, agent_id: int) -> None:
        network.make_port(lab, host)
        self.make_disk(lab, host)
        self.write_files(lab, host, agent_id)
        self.boot(lab, host)
        self.wait(lab, host)

    def reset(self, lab: Lab, host: Host, agent_id: int) -> None:
        leftovers.kill_all(lab, within=host.name)
        lab.fell_silent(host.name)
        for file in nspawn_files(lab, host):
            file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
        distance.shorten(lab, host)
        network.remove_port(lab, host)
        leftovers.unmount(lab.run_dir / host.name)
        self.start(lab, host, agent_id)

    def make_disk(self, lab: Lab, host: Host) -> None:
        place = lab.run_dir / host.name
        for folder in (place, place / "disk", place / "root"):
            folder.mkdir(exist_ok=True)
        run(["mount", "-t", "tmpfs", "-o", f"size={host.shape.disk},mode=0755", lab.prefix, str(place / "disk")])
        for folder in (place / "disk" / "upper", place / "disk" / "work"):
            folder.mkdir()
        layers = f"lowerdir={image.tree_of(host.shape.image)},upperdir={place}/disk/upper,workdir={place}/disk/work"
        run(["mount", "-t", "overlay", lab.prefix, "-o", layers, str(place / "root")])

    def write_files(self, lab: Lab, host: Host, agent_id: int) -> None:
        """What makes this host itself: name, keys, unit, registration."""
        root = root_of(lab, host)
        write(root / "etc/hostname", f"{host.name}\n")
        write(root / "etc/hosts", f"127.0.0.1 localhost\n{host.address} {host.name}\n")
        resolver = network.switch_address(lab.subnet)
        write(root / "etc/resolv.conf", f"nameserver {resolver}\noptions timeout:1 attempts:2\n")
        trust(root, tls.authority_file(lab).read_text())
        for path, file in tree.host_files(lab, host, agent_id).items():
            write(root / path.lstrip("/"), file.text, file.mode)
            os.chown(root / path.lstrip("/"), file.owner, file.owner)
        unit = f"/etc/systemd/system/{host.unit}"
        (root / "etc/systemd/system/multi-user.target.wants" / host.unit).symlink_to(unit)

    def boot(self, lab: Lab, host: Host) -> None:
        root = root_of(lab, host)
        groups = limits.make_groups(lab, host)
        if host.shape.memory:
            limits.limit_memory(lab, host, size_bytes(host.shape.memory))
        status = root.stat()
        device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
        machine = f"{lab.prefix}-{host.name}"
        # A killed nspawn leaves its lock, whose name cannot be found once the disk is gone.
        notes = [f"/run/systemd/nspawn/locks/inode-{status.st_dev}:{status.st_ino}",
                 f"/run/systemd/nspawn/locks/inode-{device}:{status.st_ino}"]  # fmt: skip
        write(lab.run_dir / "locks" / host.name, json.dumps(notes))
        # It is the disk's: the same after a reboot, another after a reset.
        identity = lab.run_dir / host.name / "disk" / "machine-id"
        if not identity.exists():
            identity.write_text(uuid.uuid4().hex)
        machine_id = identity.read_text()
        argv = [
            "systemd-nspawn", "--quiet", f"--directory={root}", "--boot", f"--machine={machine}",
            f"--hostname={host.name}", f"--uuid={machine_id}", "--register=no", "--keep-unit",
            f"--network-namespace-path={network.namespace(lab, host.name)}", "--capability=CAP_NET_ADMIN",
            "--system-call-filter=@keyring", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
            "--console=read-only", f"--tmpfs={tree.DIRECTORY}/_work:size={host.shape.work},{WORK}",
        ]  # fmt: skip
        if host.shape.image:
            argv.append(f"--tmpfs={image.STORES[host.shape.image]}")
            argv += [f"--bind={TUN}"] if TUN.exists() else []
        # The shell moves itself into the groups first, so that no moment passes outside them.
        join = 'for group in $1; do echo 0 > "$group/cgroup.procs"; done; shift; exec "$@"'
        surroundings = {**environment(lab), "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
        with (lab.state / "log" / f"{host.name}.log").open("wb") as log:
            child = subprocess.Popen(
                ["/bin/sh", "-euc", join, "sh", " ".join(map(str, groups)), *argv], env=surroundings,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        (lab.run_dir / host.name / "pid").write_text(f"{child.pid}\n")

    def wait(self, lab: Lab, host: Host) -> None:
        """Until the gate's user can log in; sshd answers before logins are let in."""

        def logged_in() -> bool:
            if not self.alive(lab, host):
                log = (lab.state / "log" / f"{host.name}.log").read_text(errors="replace")
                raise LabError(f"{host.name} did not boot:\n{log[-2000:]}")
            return lab.ssh(host.name, "true")[0] == 0

        until(logged_in, f"{host.name} to answer SSH", 60, 0.1)
        if host.shape.image:
            # A container runtime makes control groups of its own.
            self.administer(lab, host, limits.WRITABLE)

    def alive(self, lab: Lab, host: Host) -> bool:
        try:
            pid = int((lab.run_dir / host.name / "pid").read_text())
        except FileNotFoundError:
            return False
        return not leftovers.zombie(pid)

    def command(self, lab: Lab, host: Host, argv: Sequence[str]) -> list[str]:
        clean = ["env", "-i", "HOME=/root", f"TERM={os.environ.get('TERM', 'dumb')}", f"PATH={tree.SERVICE_PATH}"]
        return ["nsenter", f"--target={leader(lab, host)}", "--all", *clean, *argv]

    def silence(self, lab: Lab, host: Host, silent: bool) -> None:
        network.silence(lab, host, silent)


def trust(root: Path, authority: str) -> None:
    """What update-ca-certificates does for one authority: the file of all, and a file of its own under its hash."""
    write(root / "usr/local/share/ca-certificates/lab.crt", authority)
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    write(bundle, bundle.read_text() + authority)
    hashed = run(
        [
            "chroot",
            str(root),
            "openssl",
            "x509",
            "-noout",
            "-subject_hash",
            "-in",
            "/usr/local/share/ca-certificates/lab.crt",
        ]
    )
    (root / "etc/ssl/certs" / f"{hashed.stdout.strip()}.0").symlink_to("/usr/local/share/ca-certificates/lab.crt")


def root_of(lab: Lab, host: Host) -> Path:
    return lab.run_dir / host.name / "root"


def leader(lab: Lab, host: Host) -> int:
    """The process that is number 1 inside the host: nspawn's only child."""
    try:
        pid = int((lab.run_dir / host.name / "pid").read_text())
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    if not children:
        raise LabError(f"{host.name} is not running; try: python -m lab reset {host.name}")
    return int(children[0])


def nspawn_files(lab: Lab, host: Host) -> list[Path]:
    return [
        f for f in leftovers.nspawn_files(lab)
        if f.name.endswith(f"-{host.name}") or str(f) in (lab.run_dir / "locks" / host.name).read_text()
    ]  # fmt: skip
