"""Root file systems in a lab for runtimes that take a directory, and networks where they make none.

An image is unpacked once in a lab; every container gets a writable layer of its own on top of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab import images
from lab.machine import Lab, LabError

IMAGES, LAYERS = "/run/test-images", "/run/test-layers"
WHOLE = "/"  # no image of lab.images, but all that the lab itself has
BRIDGE, NETWORK = "test0", "10.9.0"  # a /24

# The image's own command, and its environment, as docker import takes them from lab.images.
COMMANDS = {"nginx": ["nginx", "-g", "daemon off;"], "python": ["python3"]}
ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"}

# For runtimes that take a command as words on a line, and know no quotes, or not all.
RUN = "/run-command.py"
_RUN = """#!/usr/bin/python3 -IS
import os
command = {command!r}
os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
os.execvp(command[0], command)
"""

_MAKE_BRIDGE = f"""
ip link show {BRIDGE} >/dev/null 2>&1 && exit 0
ip link add {BRIDGE} type bridge && ip address add {NETWORK}.1/24 dev {BRIDGE} && ip link set {BRIDGE} up
"""


def unpack(lab: Lab, image: str) -> str:
    """Where the image lies, unpacked; unpacked now where it was not."""
    if image == WHOLE:
        return WHOLE
    directory = f"{IMAGES}/{image}"
    if not (lab.root / directory[1:]).exists():
        lab.run(["mkdir", "-p", f"{directory}.new"])
        with images.archive(image) as file:
            unpacking = lab.popen(["tar", "-x", "-C", f"{directory}.new"], stdin=file)
            _, errors = unpacking.communicate(timeout=120)
        if unpacking.returncode != 0:
            raise LabError(f"the image {image} cannot be unpacked: {errors.strip()}")
        lab.run(["mv", f"{directory}.new", directory])
    return directory


def layer(lab: Lab, image: str, name: str, at: str) -> None:
    """Mount the image at `at`, with a layer of its own for what is written."""
    upper, work = f"{LAYERS}/{name}/upper", f"{LAYERS}/{name}/work"
    lab.run(["mkdir", "-p", upper, work, at])
    options = f"lowerdir={unpack(lab, image)},upperdir={upper},workdir={work}"
    lab.run(["mount", "-t", "overlay", "-o", options, "overlay", at])


def drop_layer(lab: Lab, name: str, at: str) -> None:
    lab.run(["sh", "-c", f"umount --lazy {at} 2>/dev/null; rm -rf {LAYERS}/{name} {at}"], check=False)


def program(lab: Lab, root: str, image: str, command: Sequence[str]) -> str:
    """What to run in a container with that root, on a line without quotes."""
    if image != "python":
        return _server(lab, root) if not command else " ".join(command)
    file = host_path(lab, f"{root}{RUN}")
    file.write_text(_RUN.format(command=list(command or COMMANDS[image])))
    file.chmod(0o755)
    return RUN


def _server(lab: Lab, root: str) -> str:
    """nginx, which stays in the foreground by its settings instead of by an argument with a blank in it."""
    settings = host_path(lab, f"{root}/etc/nginx/nginx.conf")
    settings.write_text(f"daemon off;\n{settings.read_text()}")
    return "/usr/sbin/nginx"


def bridge(lab: Lab) -> None:
    lab.run(["sh", "-c", _MAKE_BRIDGE])


def namespace(lab: Lab, name: str, number: int) -> str:
    """A network namespace on the bridge, with the address NETWORK.number; its path."""
    inside = f"ip netns exec {name}"
    bridge(lab)
    lab.run(
        [
            "sh",
            "-ec",
            f"""
            ip netns add {name}
            ip link add v{number} type veth peer name eth0 netns {name}
            ip link set v{number} master {BRIDGE} up
            {inside} ip address add {NETWORK}.{number}/24 dev eth0
            {inside} ip link set eth0 up
            {inside} ip link set lo up
            {inside} ip route add default via {NETWORK}.1
            """,
        ]
    )
    return f"/run/netns/{name}"


def drop_namespace(lab: Lab, name: str) -> None:
    lab.run(["ip", "netns", "delete", name], check=False)


def host_path(lab: Lab, path: str) -> Path:
    return lab.root / path[1:]
