"""What hosts of other kinds print, for the parsers: RHEL 9, Ubuntu 24.04, Alpine 3.20, and a runner in a container.

Not recorded on such hosts: written after the documented formats of their tools (coreutils and busybox `df`, `rpm --qf`,
`apk info -v`, systemctl and journalctl of their versions, OpenSSL 3 and LibreSSL dates, docker and podman). Where busybox is
installed, tests/shells.py runs every section on its real commands besides.
"""

from __future__ import annotations

from dataclasses import dataclass

from fixtures.facts.context import Runner
from tests.worlds import runner

RHEL = runner("rhel-1", directory="/home/github/actions-runner", user="github")
UBUNTU = runner("ubuntu-1", directory="/opt/actions-runner")
SECOND = runner("ubuntu-1-b", directory="/opt/actions-runner-b")
ALPINE = runner("alpine-1", directory="/opt/actions-runner", supervisor="process")
CONTAINER = runner("container-1", directory="/home/runner", supervisor="process")


@dataclass(frozen=True)
class Sample:
    """One section's output. `says` is a part of the fact's sentence, "" where it cannot be known, and then `unseen` is why."""

    where: str
    fact: str
    runner: Runner
    out: str
    says: str
    unseen: str = ""
    code: int = 0


SAMPLES = (
    # RHEL 9: LVM names that are longer than a column, XFS, cgroup v2, systemd 252, dnf.
    Sample("rhel", "disks", RHEL, """path /
bytes /dev/mapper/rhel_build--07-root  73364480 12345678  61018802      17% /
inodes /dev/mapper/rhel_build--07-root 36700160   123456  36576704       1% /
path /home/github/actions-runner
bytes /dev/mapper/rhel_build--07-home 188662784  1348420 187314364       1% /home
inodes /dev/mapper/rhel_build--07-home 94371840       42  94371798       1% /home
path /home/github/actions-runner/_work
bytes /dev/mapper/rhel_build--07-home 188662784  1348420 187314364       1% /home
inodes /dev/mapper/rhel_build--07-home 94371840       42  94371798       1% /home
path /tmp
bytes tmpfs                             8014212        0   8014212       0% /tmp
inodes tmpfs                            1048576       12   1048564       1% /tmp
path /var/lib/containers
bytes /dev/mapper/rhel_build--07-root  73364480 12345678  61018802      17% /
inodes /dev/mapper/rhel_build--07-root 36700160   123456  36576704       1% /
mount / rw
mount /home rw
mount /tmp rw
""", "/home/github/actions-runner has 178.6 GiB (99 %)"),
    Sample("rhel", "time_daemons", RHEL, "comm NetworkManager\ncomm bash\ncomm chronyd\ncomm systemd\ncomm systemd-journal\ninit 1\n", "chronyd"),
    Sample("rhel", "memory", RHEL, "total 16044360\navailable 12345678\nload 0.08\ncpus 4\ncgroup v2\ncounted 0\nlimit max 734003200\nage 1209600\njournal 0\nkernel 0\n", "11.77 GiB of 15.3 GiB are available"),
    Sample("rhel, after a kill", "memory", RHEL, "total 16044360\navailable 12345678\nload 0.08\ncpus 4\ncgroup v2\ncounted 1\nlimit 4294967296 734003200\nage 300\njournal 2\nkernel 1\n", "2 of its processes were killed"),
    Sample("rhel", "service_env", RHEL, "set LANG\nset JAVA_HOME\nset https_proxy\ngroups github\n", "3 variables are set, no job hook"),
    Sample("rhel", "tools", RHEL, "origin .path\ntool\tgit\tthere\t/usr/bin/git\tgit version 2.43.5 \ntool\tkubectl\tthere\t/usr/local/bin/kubectl\tClient Version: v1.29.6 Kustomize Version: v5.0.4 \ntool\tterraform\tmissing\t\t\nend\n", "git 2.43.5 (/usr/bin/git), kubectl 1.29.6"),
    Sample("rhel", "upkeep", RHEL, "uptime 7777777\npending needs-restarting says so\nfailed kdump.service\nunits\n", "a reboot is due (needs-restarting says so); failed: kdump.service"),
    Sample("rhel", "controls", RHEL, "item\tos\t\tRed Hat Enterprise Linux 9.4 (Plow)\nitem\tkernel\t\t5.14.0-427.13.1.el9_4.x86_64\nitem\tarchitecture\t\tx86_64\nitem\tlibc\t\tglibc 2.34\nitem\trunner\t\t2.336.0\nitem\tpackage\topenssl\t3.0.7-27.el9\nitem\tpackage\tpodman\t4.9.4-0.1.el9\nitem\tuser\troot\tuid 0, /bin/bash\nitem\tgroup\twheel\tadmin\nitem\tgroups\tgithub\tgithub\nunasked sudo\nunasked keys of root\nunasked keys of github\nblind\tsshd\t/etc/ssh/sshd_config: Permission denied\nend\n", "not seen: sshd, sudo, keys of root, keys of github"),
    Sample("rhel", "machine", RHEL, "machine 0123456789abcdef0123456789abcdef\nboot 11111111-2222-3333-4444-555555555555\nkeys AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY AAAAC3NzaC1lZDI1NTE5AAAAI \naddress 10.1.2.3\n", "machine 0123456789abcdef0123456789abcdef at 10.1.2.3"),
    Sample("rhel", "runtime", RHEL, "runtime podman\nuid 1001\ngid 1001\ngids 1001\ncode 0\nsaid crun\nend\n", "podman answers (crun)"),
    Sample("rhel, no subuid", "runtime", RHEL, "runtime podman\nuid 1001\ngid 1001\ngids 1001\ncode 125\nsaid Error: cannot set up namespace using \"/usr/bin/newuidmap\": exit status 1\nend\n", "podman does not answer: exit 125"),
    Sample("rhel", "certificates", RHEL, "\ntarget shop\nnotAfter=Mar  1 23:59:59 2027 GMT\nsubject=C=US, O=Example, CN=shop.example.com\nnotAfter=Sep  4 00:00:00 2035 GMT\nsubject=C=US, O=Let's Encrypt, CN=R11\nend\n", "C=US, O=Example, CN=shop.example.com that ends 2027-03-01"),
    # Ubuntu 24.04: snaps, a runner beside another, docker.
    Sample("ubuntu", "disks", UBUNTU, """path /
bytes /dev/nvme0n1p1 101430960 30429288 70985288      31% /
inodes /dev/nvme0n1p1 13107200 345678 12761522    3% /
path /opt/actions-runner
bytes /dev/nvme0n1p1 101430960 30429288 70985288      31% /
inodes /dev/nvme0n1p1 13107200 345678 12761522    3% /
path /opt/actions-runner/_work
bytes /dev/nvme1n1 515010816 28 488775460       1% /opt/actions-runner/_work
inodes /dev/nvme1n1 32768000 13 32767987    1% /opt/actions-runner/_work
path /tmp
bytes /dev/nvme0n1p1 101430960 30429288 70985288      31% /
inodes /dev/nvme0n1p1 13107200 345678 12761522    3% /
path /var/lib/docker
bytes /dev/nvme0n1p1 101430960 30429288 70985288      31% /
inodes /dev/nvme0n1p1 13107200 345678 12761522    3% /
mount / rw
mount /snap/core22/1621 ro
mount /opt/actions-runner/_work rw
mount /var/lib/docker/overlay2/3f1c/merged rw
""", "/opt/actions-runner/_work has 466.1 GiB (100 %)"),
    Sample("ubuntu, another runner of the host", "tools", SECOND, "origin .env\ntool\tgit\tthere\t/usr/bin/git\tgit version 2.43.0 \nend\n", "by .env: git 2.43.0"),
    Sample("ubuntu", "runtime", UBUNTU, "runtime docker\nuid 1001\ngid 1001\ngids 4 24 27 998 1001\nsocket 0 998 660 /var/run/docker.sock\ncode 0\nsaid 1.47\nend\n", "docker answers (1.47)"),
    Sample("ubuntu, daemon dead", "runtime", UBUNTU, "runtime docker\nuid 1001\ngid 1001\ngids 998 1001\nsocket 0 998 660 /var/run/docker.sock\ncode 1\nsaid Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\nend\n", "docker does not answer: exit 1"),
    Sample("ubuntu", "upkeep", UBUNTU, "uptime 1234567\npending /run/reboot-required is there\npending kernel 6.8.0-49-generic is installed, 6.8.0-45-generic runs\nunits\n", "6.8.0-45-generic runs); no unit failed"),
    Sample("ubuntu, 0750 homes", "residue", UBUNTU, "blind _work\nunasked /home/runner/.bash_history\nend\n", "no secret lies about; cannot be read: _work; not looked at without sudo: /home/runner/.bash_history"),
    Sample("ubuntu", "egress", UBUNTU, "proxy proxy.internal:3128\nanswer https://github.com/ 0  status 200 \nanswer https://api.github.com/ 0  status 403 \nanswer https://codeload.github.com/_ping 56 curl: (56) CONNECT tunnel failed, response 403 status 000 \nend\n", "by the proxy proxy.internal:3128: api.github.com answers (403); codeload.github.com does not answer: curl 56"),
    # Alpine 3.20: busybox, musl, OpenRC or nothing, no systemd.
    Sample("alpine", "disks", ALPINE, """path /
bytes overlay               61255492  21323072  36788420  37% /
inodes overlay                3907584    345678   3561906   9% /
path /opt/actions-runner
bytes overlay               61255492  21323072  36788420  37% /
inodes overlay                3907584    345678   3561906   9% /
path /opt/actions-runner/_work
bytes /dev/vdb              20511312     24576  19419488   0% /opt/actions-runner/_work
inodes /dev/vdb                1310720        11   1310709   0% /opt/actions-runner/_work
path /tmp
bytes overlay               61255492  21323072  36788420  37% /
inodes overlay                3907584    345678   3561906   9% /
mount / rw
mount /opt/actions-runner/_work rw
""", "/opt/actions-runner/_work has 18.52 GiB (100 %)"),
    Sample("alpine", "time_daemons", ALPINE, "comm busybox\ncomm chronyd\ncomm crond\ncomm init\ninit 1\n", "chronyd"),
    Sample("alpine", "memory", ALPINE, "total 4028876\navailable 3456789\nload 0.00\ncpus 2\n", "none of its processes was killed"),
    Sample("alpine", "upkeep", ALPINE, "uptime 86400\nunits none\n", "up for 1 days"),
    Sample("alpine, declared with systemd", "upkeep", runner("alpine-2"), "uptime 86400\nunits none\n", "", "systemd does not run there"),
    Sample("alpine", "controls", ALPINE, "item\tos\t\tAlpine Linux v3.20\nitem\tkernel\t\t6.6.49-0-virt\nitem\tarchitecture\t\tx86_64\nitem\trunner\t\t2.336.0\nitem\tpackage\topenssl\t3.3.2-r0\nitem\tpackage\tca-certificates\t20240705-r0\nitem\tpackage\tmusl\t1.2.5-r0\nitem\tgroups\trunner\trunner\nunasked sudo\nend\n", "controls of 6 kinds; not seen: sudo"),
    Sample("alpine", "tools", ALPINE, "", "", "it has no .path", 95),
    # A runner in a container: pid 1 is its entrypoint, /proc shows its own alone or hides the rest.
    Sample("container", "service_env", CONTAINER, "set RUNNER_ALLOW_RUNASROOT\non RUNNER_ALLOW_RUNASROOT\ngroups root\n", "RUNNER_ALLOW_RUNASROOT on"),
    Sample("container", "runtime", CONTAINER, "runtime docker\nuid 0\ngid 0\ngids 0\nsocket 0 998 660 /var/run/docker.sock\nnested\ncode 0\nsaid 1.47\nend\n", "docker answers (1.47)"),
    Sample("container, hidepid", "time_daemons", CONTAINER, "comm bash\ncomm sleep\n", "", "its own processes alone"),
    Sample("container", "memory", CONTAINER, "total 32768000\navailable 30000000\nload 3.20\ncpus 16\ncgroup v2\ncounted 0\nlimit 2147483648 1073741824\n", "1 GiB of 2 GiB are available (50 %)"),
    Sample("container", "machine", CONTAINER, "boot 11111111-2222-3333-4444-555555555555\nkeys \naddress \n", "", "which machine is the host"),
)  # fmt: skip
