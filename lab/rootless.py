"""Podman of an ordinary user in a lab: set up for whoever asks for it, once after each boot."""

from __future__ import annotations

from lab import images, user
from lab.machine import Lab, LabError
from lab.user import User

SETTINGS = {
    # See lab/podman.py: crun is no more to be had here than there, and a lab may have no controllers.
    "containers.conf": """
[containers]
pids_limit = 0
[engine]
runtime = "runc"
cgroup_manager = "systemd"
""",
    # In memory, where overlays can lie; the user's home is on the lab's disk, an overlay itself.
    "storage.conf": """
[storage]
driver = "overlay"
graphroot = "{run}/test-podman"
runroot = "{run}/containers"
""",
}

# slirp4netns(1) opens /dev/net/tun, which everybody may on a machine with udev. And a container without root
# gets a /proc only where another one is seen in full, user_namespaces(7): the lab's own is covered here and
# there by what is the host's.
_KERNEL = """
[ "$(stat -c %a /dev/net/tun)" = 666 ] || {
    umount /dev/net/tun || true
    mkdir -p /dev/net
    rm -f /dev/net/tun
    mknod -m 666 /dev/net/tun c 10 200
}
mkdir -p /run/test-proc
mountpoint -q /run/test-proc || mount -t proc -o nosuid,nodev,noexec proc /run/test-proc
"""


def set_up(lab: Lab) -> User:
    """The lab's user, with a Podman that has the images `nginx` and `python`; made where there is none."""
    owner = user.set_up(lab)
    if (lab.root / owner.run_directory[1:] / "test-podman").exists():
        return owner
    lab.run(["sh", "-ec", _KERNEL])
    folder = f"{owner.home}/.config/containers"
    owner.run(["mkdir", "-p", folder])
    for name, text in SETTINGS.items():
        owner.run(["tee", f"{folder}/{name}"], input=text.replace("{run}", owner.run_directory))
    owner.run(["systemctl", "--user", "start", "podman.socket"])
    for image in ("nginx", "python"):
        _load(lab, owner, image)
    return owner


def _load(lab: Lab, owner: User, image: str) -> None:
    changes = [f"--change={change}" for change in images.CHANGES[image]]
    command = ["podman", "import", *changes, "-", image]
    with images.archive(image) as file:
        importing = lab.popen(command, stdin=file, user=owner.name, env=owner.environment)
        _, errors = importing.communicate(timeout=120)
    if importing.returncode != 0:
        raise LabError(f"the Podman of {owner.name} did not take the image {image}: {errors.strip()}")
