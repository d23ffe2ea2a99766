"""A container of LXC in a lab: one program, with a veth pair to the bridge and a fixed address."""

from __future__ import annotations

from lab import rootfs


def unit(name: str) -> str:
    return f"lxc@{name}.service"


def home(name: str) -> str:
    return f"/var/lib/lxc/{name}"


def group(name: str) -> str:
    """Of what runs inside, below /sys/fs/cgroup."""
    return f"lxc.payload.{name}"


def config(name: str, root: str, address: str, program: str, halt: str = "SIGTERM") -> list[str]:
    """The lines of its config; `halt` is what lxc-stop sends to what runs inside."""
    return [
        f"lxc.uts.name = {name}",
        f"lxc.rootfs.path = dir:{root}",
        f"lxc.init.cmd = {program}",
        *(f"lxc.environment = {key}={value}" for key, value in rootfs.ENVIRONMENT.items()),
        "lxc.mount.auto = proc:mixed sys:mixed",
        "lxc.pty.max = 16",
        f"lxc.console.logfile = {home(name)}/console.log",
        *("lxc.net.0.type = veth", "lxc.net.0.flags = up", "lxc.net.0.name = eth0"),
        f"lxc.net.0.link = {rootfs.BRIDGE}",
        # As lxc-create writes it. A new one at each start is not heard by whoever knows the last one: for
        # half a minute, where others keep the bridge up.
        f"lxc.net.0.hwaddr = 00:16:3e:{':'.join(f'{int(part):02x}' for part in address.split('.')[1:])}",
        f"lxc.net.0.ipv4.address = {address}/24",
        f"lxc.net.0.ipv4.gateway = {rootfs.NETWORK}.1",
        f"lxc.signal.halt = {halt}",
    ]
