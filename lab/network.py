"""The lab's network (engine `nspawn`): a switch in its own namespace, a namespace a host, one uplink.

Addresses are 10.77.N.0/24: the switch is .1 and has the name server, .2 to .9 are GitHub's, hosts are .11 and up, the
machine's end of the uplink is .254. There is no way from there to anywhere else: the switch forwards nothing.
Namespaces are files under the lab's own run directory, so that its removal removes them.
"""

import os
import re
from pathlib import Path

from lab.process import LabError, run
from lab.world import GITHUB_NAMES, Host, Lab

NETWORK = "10.77"
SUBNETS = 250


def host_address(subnet: int, number: int) -> str:
    return f"{NETWORK}.{subnet}.{10 + number}"


def uplink_address(subnet: int) -> str:
    return f"{NETWORK}.{subnet}.254"


def switch_address(subnet: int) -> str:
    return f"{NETWORK}.{subnet}.1"


def github_addresses(subnet: int) -> dict[str, str]:
    """The address of each group of GITHUB_NAMES: a firewall can then tell them apart, as in the world."""
    return {group: f"{NETWORK}.{subnet}.{number}" for number, group in enumerate(GITHUB_NAMES, start=2)}


def taken_subnets(text: str) -> frozenset[int]:
    """Third octets of 10.77.N in the output of `ip -4 addr` and `ip -4 route`."""
    return frozenset(int(n) for n in re.findall(rf"\b{re.escape(NETWORK)}\.(\d{{1,3}})\.\d", text))


def choose_subnet(lab_id: str, taken: frozenset[int]) -> int:
    """The lab's own third octet, or the next free one after it."""
    first = int(lab_id, 16) % SUBNETS
    for step in range(SUBNETS):
        if (first + step) % SUBNETS not in taken:
            return (first + step) % SUBNETS
    raise LabError(f"every subnet of {NETWORK}.0.0/16 is taken on this machine")


def probe_taken() -> frozenset[int]:
    said = run(["ip", "-4", "-o", "addr"]).stdout + run(["ip", "-4", "route", "show", "table", "all"]).stdout
    return taken_subnets(said)


def namespace(lab: Lab, name: str) -> Path:
    return lab.run_dir / "ns" / name


def inside(lab: Lab, name: str) -> list[str]:
    """Start of a command that runs in the network namespace `name`."""
    return ["nsenter", f"--net={namespace(lab, name)}"]


def uplink(lab: Lab) -> str:
    """Name of the machine's end of the uplink; at most 15 characters."""
    return f"{lab.prefix}u"


def make_namespace(lab: Lab, name: str) -> None:
    file = namespace(lab, name)
    file.parent.mkdir(exist_ok=True)
    file.touch()
    run(["unshare", f"--net={file}", "true"])


def remove_namespace(lab: Lab, name: str) -> None:
    run(["umount", str(namespace(lab, name))], check=False)
    namespace(lab, name).unlink(missing_ok=True)


def make_switch(lab: Lab) -> None:
    """The switch, its own address, and the uplink with the address the stand-in listens on."""
    make_namespace(lab, "switch")
    own = [switch_address(lab.subnet), *github_addresses(lab.subnet).values()]
    # By itself a bridge takes the lowest address of its ports, and another when a port goes: then no host finds it.
    batch = f"""link set lo up
link add br0 address {mac(lab, 1)} type bridge
{"".join(f"addr add {address}/24 dev br0{chr(10)}" for address in own)}link set br0 up
link add up0 type veth peer name {uplink(lab)}
link set up0 master br0 up
"""
    run([*inside(lab, "switch"), "ip", "-batch", "-"], batch)
    run([*inside(lab, "switch"), "ip", "link", "set", uplink(lab), "netns", str(os.getpid())])
    run(
        ["ip", "-batch", "-"],
        f"addr add {uplink_address(lab.subnet)}/24 dev {uplink(lab)}\nlink set {uplink(lab)} up\n",
    )


def mac(lab: Lab, last: int) -> str:
    """Address on the wire of what has 10.77.N.`last`."""
    return f"02:4c:41:42:{lab.subnet:02x}:{last:02x}"


def make_port(lab: Lab, host: Host) -> None:
    """A host's namespace with `host0` in it, plugged into the switch."""
    make_namespace(lab, host.name)
    port = f"h{host.number}"
    # The address must stay: a re-made host with a new one is unreachable until old ARP entries expire.
    run([*inside(lab, "switch"), "ip", "link", "add", port, "type", "veth", "peer", "name", "host0",
         "address", mac(lab, 10 + host.number), "netns", str(namespace(lab, host.name))])  # fmt: skip
    run([*inside(lab, "switch"), "ip", "link", "set", port, "master", "br0", "up"])
    batch = f"""link set lo up
addr add {host.address}/24 dev host0
link set host0 up
route add default via {NETWORK}.{lab.subnet}.1
"""
    run([*inside(lab, host.name), "ip", "-batch", "-"], batch)


def remove_port(lab: Lab, host: Host) -> None:
    run([*inside(lab, "switch"), "ip", "link", "del", f"h{host.number}"], check=False)
    remove_namespace(lab, host.name)


def silence(lab: Lab, host: Host, silent: bool) -> None:
    """Drop, or let pass again, every packet to the host's sshd. Its own traffic goes on."""
    table = [*inside(lab, host.name), "nft"]
    run([*table, "delete", "table", "inet", "lab_silence"], check=False)
    if silent:
        run([*table, "-f", "-"], drop_rules("lab_silence", "input", "tcp dport 22"))


def drop_rules(table: str, hook: str, match: str) -> str:
    """An nft table that drops what matches."""
    return f"""table inet {table} {{
  chain drops {{
    type filter hook {hook} priority 0
    {match} drop
  }}
}}
"""
