# Runs once, as root, chrooted into the unpacked base image. The files of lab/agent/ are in /tmp/agent.
set -eu
runner=$1  # version of the runner to install, e.g. 2.336.0
umask 022

groupadd --gid 1001 runner
useradd --uid 1001 --gid 1001 --create-home --shell /bin/bash runner
useradd --uid 1002 --create-home --shell /bin/bash --groups systemd-journal audit
install -d -m 0700 -o audit -g audit /home/audit/.ssh

# Keys and ids belong to a host, never to the image.
rm -f /etc/ssh/ssh_host_*
: > /etc/machine-id

install -m 0440 /tmp/agent/sudoers /etc/sudoers.d/preflight-audit
install -m 0440 /tmp/agent/sudoers-drills /etc/sudoers.d/preflight-drills
install -D -m 0755 /tmp/agent/hook-started.sh /opt/hooks/started.sh
install -D -m 0755 /tmp/agent/rollback.sh /opt/deploy/rollback
install -d /etc/widgets
echo 'TARGET=production' > /etc/widgets/deploy.conf
install -m 0644 /tmp/agent/sshd.conf /etc/ssh/sshd_config.d/lab.conf
install -m 0644 /tmp/agent/chrony.conf /etc/chrony/chrony.conf
install -D -m 0644 /tmp/agent/chrony.service.conf /etc/systemd/system/chrony.service.d/lab.conf
# -F 0: its syscall filter and nspawn's do not agree.
echo 'DAEMON_OPTS="-x -F 0"' > /etc/default/chrony
install -d /var/log/journal
install -d /etc/systemd/journald.conf.d
printf '[Journal]\nSystemMaxUse=32M\n' > /etc/systemd/journald.conf.d/lab.conf

# They would try the network, fail, and leave failed units.
systemctl disable --quiet apt-daily.timer apt-daily-upgrade.timer
systemctl enable --quiet ssh.service chrony.service

root=/opt/actions-runner
bin=$root/bin.$runner
node=$root/externals.$runner/node20/bin
install -d -o runner -g runner $root $root/_diag $root/_work
install -d "$bin/lab/agent" "$node"
# Absolute links, as the first self-update leaves them.
ln -s "$bin" $root/bin
ln -s "$root/externals.$runner" $root/externals
# A copy, not a link: /proc/PID/exe must name the version that runs. The others are the same file under their own names.
cp "$(readlink -f /usr/bin/python3)" "$bin/Runner.Listener"
ln "$bin/Runner.Listener" "$bin/Runner.Worker"
ln "$bin/Runner.Listener" "$node/node"
cat > "$bin/Runner.Listener.deps.json" <<END
{
  "runtimeTarget": {"name": ".NETCoreApp,Version=v8.0/linux-x64", "signature": ""},
  "libraries": {"Runner.Listener/$runner": {"type": "project", "serviceable": false, "sha512": ""}}
}
END
: > "$bin/lab/__init__.py"
install -m 0644 /tmp/agent/*.py "$bin/lab/agent"
rm "$bin/lab/agent/entry.py"
install -m 0644 /tmp/agent/entry.py "$bin/spawnclient"
install -m 0644 /tmp/agent/entry.py "$bin/RunnerService.js"
install -m 0644 /tmp/agent/entry.py $root/run
install -m 0755 /tmp/agent/runsvc.sh "$bin/runsvc.sh"
install -m 0644 /tmp/agent/systemd.svc.sh.template "$bin"
install -m 0644 /tmp/agent/runner.service "$bin/actions.runner.service.template"
cd /tmp/agent
install -m 0755 runsvc.sh run.sh config.sh env.sh safe_sleep.sh run-helper.sh.template $root
chown -R -h runner:runner $root

# Where there is a container runtime, jobs may use it, and there is an image that needs no registry.
if getent group docker >/dev/null; then
    usermod --append --groups docker runner
fi
if [ -x /bin/busybox ]; then
    mini=$(mktemp -d)
    mkdir "$mini/bin"
    cp /bin/busybox "$mini/bin/busybox"
    for name in sh true echo sleep cat ls; do ln -s busybox "$mini/bin/$name"; done
    install -d /usr/share/lab
    tar -C "$mini" -cf /usr/share/lab/mini.tar bin
    rm -r "$mini"
fi
