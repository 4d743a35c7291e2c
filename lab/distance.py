"""How far a host is (engine `nspawn`): a wire that delays and loses, put between its port and the switch."""

from lab import network, outside
from lab.process import LabError, run
from lab.world import Host, Lab


def space(host: Host) -> str:
    """The wire's namespace. It has no addresses: the switch's own would answer the host's questions here as well."""
    return f"wire-{host.name}"


def wired(lab: Lab, host: Host) -> bool:
    return network.namespace(lab, space(host)).exists()


def stretch(lab: Lab, host: Host, delay: float = 0.0, loss: float = 0.0) -> None:
    """Add `delay` milliseconds to every round trip to and from the host, and lose `loss` per cent of its frames.

    Nothing of both takes the wire away again.
    """
    if lab.engine != "nspawn":
        raise LabError(f"a distance needs engine nspawn; this lab is {lab.engine}")
    if not 0 <= delay <= 10_000 or not 0 <= loss < 100:
        raise LabError("a delay is 0 to 10000 ms, a loss 0 to 99 per cent")
    shorten(lab, host)
    if not delay and not loss:
        return
    name, number = space(host), host.number
    network.make_namespace(lab, name)
    there = str(network.namespace(lab, name))
    switch = [*network.inside(lab, "switch"), "ip", "-batch", "-"]
    run(switch, f"""link set h{number} netns {there}
link add b{number} type veth peer name w{number} netns {there}
link set b{number} master br0 up
""")  # fmt: skip
    run([*network.inside(lab, name), "ip", "-batch", "-"], f"link set h{number} up\nlink set w{number} up\n")
    arguments = ["--delay", f"{delay / 2:g}", "--loss", f"{loss:g}", f"h{number}", f"w{number}"]
    outside.start_module(lab, "lab.wire", arguments, network.inside(lab, name), called=name)


def shorten(lab: Lab, host: Host) -> None:
    """Plug the host into the switch again, if a wire is between them."""
    if not wired(lab, host):
        return
    outside.stop(lab, space(host))
    there, number = space(host), host.number
    # A step that a killed call had done already is no fault.
    run([*network.inside(lab, there), "ip", "link", "set", f"h{number}", "netns",
         str(network.namespace(lab, "switch"))], check=False)  # fmt: skip
    run([*network.inside(lab, "switch"), "ip", "link", "del", f"b{number}"], check=False)
    run([*network.inside(lab, "switch"), "ip", "link", "set", f"h{number}", "master", "br0", "up"], check=False)
    network.remove_namespace(lab, there)


def link(lab: Lab, host: Host, up: bool) -> None:
    """Pull the host's cable, or plug it in again. Whoever asked for it lately asks anew."""
    where = space(host) if wired(lab, host) else "switch"
    run([*network.inside(lab, where), "ip", "link", "set", f"h{host.number}", "up" if up else "down"])
    run(["ip", "neigh", "flush", "dev", network.uplink(lab)], check=False)
