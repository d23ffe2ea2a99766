"""Containers of LXC in which one program runs, each with a veth pair to a bridge and a fixed address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab import lxc, rootfs
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.runtimes.template import Instances, stop_timeout


class Lxc(Instances):
    runtime = "lxc"
    template = "lxc"

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        address = self.make_root(name, image)
        # What lxc-stop sends to what runs inside; it waits a minute for its end.
        signal = "SIGKILL" if DIES_AT_ONCE in options else "SIGTERM"
        program = rootfs.program(self.lab, self.root(name), image, command)
        self.write(
            f"{lxc.home(name)}/config", *lxc.config(name, self.root(name), address, program, halt=signal)
        )
        settings = ["[Service]", "LimitNOFILE=infinity"]
        if seconds := stop_timeout(options):
            stop = f"/usr/bin/lxc-stop --name=%i --timeout={seconds}"
            settings += ["ExecStop=", f"ExecStop={stop}"]
        self.write(self.drop_in(name), *settings)
        self.reload()

    def remove(self, name: str) -> None:
        # Its own processes, which are not in the group of its unit, die with those that are.
        self.lab.run(["systemctl", "kill", "--signal=KILL", self.unit(name)], check=False)
        self.lab.run(["systemctl", "stop", self.unit(name)], check=False)
        rootfs.host_path(self.lab, self.drop_in(name)).unlink(missing_ok=True)
        self.reload()
        self.drop_root(name)
        self.lab.run(["rm", "-rf", lxc.home(name)])

    def start(self, name: str) -> None:
        self.do("start", name)
        self.lab.run(["lxc-wait", f"--name={name}", "--state=RUNNING", "--timeout=30"])

    def freeze(self, name: str) -> None:
        self.lab.run(["lxc-freeze", f"--name={name}"])

    def thaw(self, name: str) -> None:
        self.lab.run(["lxc-unfreeze", f"--name={name}"])

    def rename(self, old: str, new: str) -> None:
        """Its config is what makes a container."""
        home = rootfs.host_path(self.lab, lxc.home(new))
        home.mkdir(exist_ok=True)
        (rootfs.host_path(self.lab, lxc.home(old)) / "config").rename(home / "config")

    def run_in(self, name: str, *command: str) -> str:
        return self.lab.run(["lxc-attach", f"--name={name}", "--", *command]).stdout

    def is_frozen(self, name: str) -> bool:
        return self._info(name, "--state") == "FROZEN"

    def first_process(self, name: str) -> int:
        return int(self._info(name, "--pid"))

    def group(self, name: str) -> Path:
        return self.lab.root / "sys/fs/cgroup" / lxc.group(name)

    def root(self, name: str) -> str:
        return f"/run/test-roots/lxc-{name}"

    def _info(self, name: str, what: str) -> str:
        return self.lab.run(["lxc-info", "--no-humanize", what, f"--name={name}"], check=False).stdout.strip()
