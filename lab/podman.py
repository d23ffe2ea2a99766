"""Podman in a lab: set up for whoever asks for it, once after each boot."""

from __future__ import annotations

from lab import images
from lab.machine import Lab, LabError

STORE = "/run/test-podman"

SETTINGS = {
    # crun, which Podman would rather take, fails where even root has no CAP_SYS_RESOURCE; and a limit of
    # processes needs a controller that a lab may not have.
    "containers.conf": """
[containers]
pids_limit = 0
[engine]
runtime = "runc"
cgroup_manager = "systemd"
[network]
network_backend = "netavark"
""",
    # /run is a file system in memory; on the lab's disk, which is an overlay itself, no overlay can lie.
    "storage.conf": f"""
[storage]
driver = "overlay"
graphroot = "{STORE}"
runroot = "/run/containers/storage"
""",
}


def set_up(lab: Lab) -> None:
    """Give the lab a Podman with the images `nginx` and `python`; nothing to do where it has one."""
    if (lab.root / STORE[1:]).exists():
        return
    folder = lab.root / "etc/containers"
    for name, text in SETTINGS.items():
        (folder / name).write_text(text)
    # Where the host has them enabled, the lab has masked them.
    lab.run(["systemctl", "unmask", "podman.service", "podman.socket"])
    lab.run(["systemctl", "start", "podman.socket"])
    for image in ("nginx", "python"):
        _load(lab, image)


def _load(lab: Lab, image: str) -> None:
    changes = [f"--change={change}" for change in images.CHANGES[image]]
    with images.archive(image) as file:
        importing = lab.popen(["podman", "import", *changes, "-", image], stdin=file)
        _, errors = importing.communicate(timeout=120)
    if importing.returncode != 0:
        raise LabError(f"the lab's Podman did not take the image {image}: {errors.strip()}")
