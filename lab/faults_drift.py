"""Faults of what people change on one host and not on the other: tools, hooks, rights, keys, settings, what lies about."""

from collections.abc import Callable

from lab.engine import on
from lab.fault import NSPAWN, Fault
from lab.faults_egress import env_line
from lab.faults_hosts import NOTHING, PRIMARY, STANDBY, UNEQUAL, health
from lab.faults_resources import run_on
from lab.world import Lab

HARDENED = health(PRIMARY, "hardened")
KEPT = frozenset({f"secret-masking/host-keeps-none[{PRIMARY}]"})
TOKEN = "ghp_" + "L4b" * 12
"""No token: of a token's form alone."""

STRANGE_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB contractor@laptop"


def in_runner(script: str) -> Callable[[Lab], None]:
    """A script in the primary's runner directory, as root."""

    def act(lab: Lab) -> None:
        on(lab, PRIMARY, f"cd {lab.host(PRIMARY).directory}\n{script}\n")

    return act


def clone_machine(lab: Lab) -> None:
    """The standby was copied from the primary, machine-id and all."""
    mine = on(lab, PRIMARY, "cat /etc/machine-id").strip()
    on(lab, STANDBY, f"cp /etc/machine-id /run/lab-machine-id; echo {mine} > /etc/machine-id")


FAULTS: tuple[Fault, ...] = (
    Fault("tool-missing", "A cleanup removed python3 from the primary; the deploy needs it.",
          health(PRIMARY, "tools-present"), NOTHING, NSPAWN,
          run_on("mv /usr/bin/python3 /usr/bin/python3.away"), run_on("mv /usr/bin/python3.away /usr/bin/python3"), PRIMARY),
    Fault("tool-old", "Somebody's old python3 in /usr/local/bin stands before the primary's own.",
          health(PRIMARY, "tools-present"), NOTHING, NSPAWN,
          run_on("printf '#!/bin/sh\\necho Python 3.7.3\\n' > /usr/local/bin/python3; chmod 755 /usr/local/bin/python3"),
          run_on("rm -f /usr/local/bin/python3"), PRIMARY),
    Fault("path-short", "The primary's `.path` lost /usr/bin; who logs in by SSH finds everything.",
          health(PRIMARY, "tools-present"), NOTHING, NSPAWN,
          in_runner("cp -p .path .path.away; echo /usr/local/bin:/usr/sbin:/sbin > .path"), in_runner("mv .path.away .path"), PRIMARY),
    Fault("hook-missing", "The script that the primary's runner must call before each job is gone: every job fails.",
          health(PRIMARY, "hooks-in-place"), NOTHING, NSPAWN,
          run_on("mv /opt/hooks/started.sh /opt/hooks/away"), run_on("mv /opt/hooks/away /opt/hooks/started.sh"), PRIMARY),
    Fault("hook-writable", "The primary's job hook belongs to the runner's own user: any job can change it for the next.",
          health(PRIMARY, "hooks-in-place"), NOTHING, NSPAWN,
          run_on("chown runner /opt/hooks/started.sh"), run_on("chown root /opt/hooks/started.sh"), PRIMARY),
    Fault("hook-unset", "The primary's `.env` was written anew, without the job hook.",
          health(PRIMARY, "hooks-in-place"), NOTHING, NSPAWN,
          in_runner("cp -p .env .env.away; echo LANG=C.UTF-8 > .env"), in_runner("mv .env.away .env"), PRIMARY),
    Fault("debug-variable", "Somebody traced the primary's HTTP traffic, and left that on: tokens stand in its logs.",
          HARDENED | UNEQUAL, NOTHING, NSPAWN, *env_line("GITHUB_ACTIONS_RUNNER_HTTPTRACE=true"), PRIMARY),
    Fault("extra-key", "A contractor's key was added to the primary's authorized_keys, and never removed.",
          HARDENED | UNEQUAL, NOTHING, NSPAWN,
          run_on(f"echo '{STRANGE_KEY}' >> /home/audit/.ssh/authorized_keys"),
          run_on("sed -i '/contractor@laptop/d' /home/audit/.ssh/authorized_keys"), PRIMARY),
    Fault("runner-key", "A key lets somebody log in as the primary's runner user; only root can see it.",
          HARDENED | UNEQUAL, NOTHING, NSPAWN,
          run_on(f"install -d -m 700 -o runner -g runner /home/runner/.ssh; echo '{STRANGE_KEY}' > /home/runner/.ssh/authorized_keys; chmod 600 /home/runner/.ssh/authorized_keys"),
          run_on("rm -rf /home/runner/.ssh"), PRIMARY),
    Fault("sudo-drift", "On the primary every job may do anything as root, since one had to, once.",
          HARDENED | UNEQUAL, NOTHING, NSPAWN,
          run_on("echo 'runner ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/rogue; chmod 440 /etc/sudoers.d/rogue"),
          run_on("rm -f /etc/sudoers.d/rogue"), PRIMARY),
    Fault("docker-group", "The primary's runner user was put into the group docker, which is root's by another name.",
          HARDENED | UNEQUAL, NOTHING, NSPAWN,
          run_on("groupadd --system docker; usermod -aG docker runner"),
          run_on("gpasswd -d runner docker >/dev/null; groupdel docker"), PRIMARY),
    Fault("sshd-drift", "The primary's sshd takes passwords again.",
          HARDENED | UNEQUAL, NOTHING, NSPAWN,
          run_on("echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/aa-drift.conf"),
          run_on("rm -f /etc/ssh/sshd_config.d/aa-drift.conf"), PRIMARY),
    Fault("sudo-refused", "The audit user's sudoers lines were removed from the primary: what only root sees is unknown.",
          NOTHING, HARDENED | UNEQUAL, NSPAWN,
          run_on("mv /etc/sudoers.d/preflight-audit /root/preflight-audit"),
          run_on("mv /root/preflight-audit /etc/sudoers.d/preflight-audit"), PRIMARY),
    Fault("standby-drifted", "An account was made on the standby alone.",
          UNEQUAL, NOTHING, NSPAWN,
          run_on("useradd --uid 1050 --no-create-home contractor", STANDBY), run_on("userdel contractor", STANDBY), STANDBY),
    Fault("machine-cloned", "The standby is a copy of the primary, machine-id and all.",
          frozenset({"failover/independent"}), NOTHING, NSPAWN,
          clone_machine, run_on("cat /run/lab-machine-id > /etc/machine-id; rm -f /run/lab-machine-id", STANDBY), STANDBY),
    Fault("token-in-checkout", "A job left its token in the git settings of the primary's checkout.",
          KEPT, NOTHING, NSPAWN,
          in_runner("install -d -o runner -g runner _work/widgets _work/widgets/widgets _work/widgets/widgets/.git\n"
                    f"printf '[http \"https://github.com/\"]\\n\\textraheader = AUTHORIZATION: basic {TOKEN}\\n' > _work/widgets/widgets/.git/config\n"
                    "chown runner:runner _work/widgets/widgets/.git/config"),
          in_runner("rm -rf _work/widgets"), PRIMARY),
    Fault("token-in-history", "Somebody typed a token into the shell of the primary's runner user; only root can see it.",
          KEPT, NOTHING, NSPAWN,
          run_on(f"echo 'curl -H \"Authorization: Bearer {TOKEN}\" https://api.github.com/user' > /home/runner/.bash_history; chown runner: /home/runner/.bash_history; chmod 600 /home/runner/.bash_history"),
          run_on("rm -f /home/runner/.bash_history"), PRIMARY),
    Fault("home-key-readable", "The key of the primary's runner user can be read by everybody on the host.",
          KEPT, NOTHING, NSPAWN,
          run_on("install -d -m 755 -o runner -g runner /home/runner/.ssh; stat -c %a /home/runner > /run/lab-home-mode; chmod 755 /home/runner; install -m 644 -o runner -g runner /dev/null /home/runner/.ssh/id_ed25519"),
          run_on("rm -rf /home/runner/.ssh; chmod $(cat /run/lab-home-mode) /home/runner; rm -f /run/lab-home-mode"), PRIMARY),
    Fault("token-in-arguments", "A helper of the primary's runner was started with a token on its command line.",
          KEPT, NOTHING, NSPAWN,
          in_runner(f"setsid setpriv --reuid=runner --regid=runner --clear-groups python3 -c 'import time; time.sleep(9999)' $PWD/bin/helper --token {TOKEN} >/dev/null 2>&1 </dev/null & echo $! > /run/lab-helper.pid"),
          in_runner("kill $(cat /run/lab-helper.pid) 2>/dev/null || true; rm -f /run/lab-helper.pid"), PRIMARY),
    Fault("env-hidden", "The primary's `.env` can be read by the runner alone: its settings are unknown.",
          NOTHING, health(PRIMARY, "hooks-in-place", "hardened", "tools-present", "reaches-github") | UNEQUAL
          | {f"failover/equal-controls[{PRIMARY}]"} | KEPT,
          NSPAWN, in_runner("chmod 600 .env"), in_runner("chmod 644 .env"), PRIMARY),
)  # fmt: skip
