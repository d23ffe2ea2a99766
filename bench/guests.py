"""The containers of the benchmark: how each runtime makes, starts and stops one, as its user would.

Every one of them runs nginx, and has a network and a fixed address of its own, known before: to ask for it
would cost the yardstick a call.
"""

from __future__ import annotations

from lab import Lab, lxc, nspawn, podman, rootfs, unit


class Guest:
    """`group` is where its processes are, below /sys/fs/cgroup; `units` are what is up while it is, and what
    is to be down before the next start.
    """

    runtime = ""
    start: tuple[str, ...]
    stop: tuple[str, ...]
    group = ""
    units: tuple[str, ...] = ()

    def __init__(self, lab: Lab, name: str, number: int) -> None:
        self.lab = lab
        self.name = name
        self.address = f"{rootfs.NETWORK}.{number}"

    def make(self) -> None:
        raise NotImplementedError

    def write(self, path: str, lines: list[str]) -> None:
        file = rootfs.host_path(self.lab, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")

    def make_root(self, at: str) -> str:
        """The program that it runs."""
        rootfs.bridge(self.lab)
        rootfs.layer(self.lab, "nginx", self.name, at)
        return rootfs.program(self.lab, at, "nginx", ())


class Podman(Guest):
    """Its service, which wakeport asks and `podman start` does not, is asleep before each start."""

    runtime = "podman"
    units = ("podman.service",)

    def __init__(self, lab: Lab, name: str, number: int) -> None:
        super().__init__(lab, name, number)
        self.address = f"10.88.200.{number}"  # in Podman's own network
        self.start, self.stop = ("podman", "start", name), ("podman", "stop", name)

    def make(self) -> None:
        podman.set_up(self.lab)
        created = self.lab.run(["podman", "create", "--name", self.name, "--ip", self.address, "nginx"])
        self.group = f"machine.slice/libpod-{created.stdout.strip()}.scope"


class Nspawn(Guest):
    runtime = "nspawn"

    def __init__(self, lab: Lab, name: str, number: int) -> None:
        super().__init__(lab, name, number)
        self.units = (nspawn.unit(name),)
        self.start, self.stop = ("machinectl", "start", name), ("systemctl", "stop", *self.units)
        self.group = nspawn.group(name)

    def make(self) -> None:
        program = self.make_root(nspawn.root(self.name))
        self.write(nspawn.GIVER, [nspawn.GIVE_ADDRESS])
        self.write(nspawn.settings_file(self.name), nspawn.settings(self.lab, program))
        self.write(f"/etc/systemd/system/{self.units[0]}.d/address.conf", nspawn.drop_in(self.address))
        self.lab.run(["systemctl", "daemon-reload"])


class Lxc(Guest):
    runtime = "lxc"

    def __init__(self, lab: Lab, name: str, number: int) -> None:
        super().__init__(lab, name, number)
        self.units = (lxc.unit(name),)
        self.start, self.stop = ("lxc-start", f"--name={name}"), ("lxc-stop", f"--name={name}")
        self.group = lxc.group(name)

    def make(self) -> None:
        root = f"/run/test-roots/lxc-{self.name}"
        program = self.make_root(root)
        self.write(f"{lxc.home(self.name)}/config", lxc.config(self.name, root, self.address, program))


class Unit(Guest):
    runtime = "unit"

    def __init__(self, lab: Lab, name: str, number: int) -> None:
        super().__init__(lab, name, number)
        self.number = number
        self.units = (f"{name}.service",)
        self.start, self.stop = ("systemctl", "start", *self.units), ("systemctl", "stop", *self.units)
        self.group = f"system.slice/{name}.service"

    def make(self) -> None:
        rootfs.layer(self.lab, "nginx", self.name, unit.root(self.name))
        network = rootfs.namespace(self.lab, self.name, self.number)
        command = '/usr/sbin/nginx -g "daemon off;"'
        self.write(f"/etc/systemd/system/{self.units[0]}", unit.service(self.name, network, command))
        self.lab.run(["systemctl", "daemon-reload"])


GUESTS = (Podman, Nspawn, Lxc, Unit)
