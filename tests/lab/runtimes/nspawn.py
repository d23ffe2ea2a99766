"""Machines of systemd-nspawn in which one program runs, each with a veth pair to a bridge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab import Lab
from tests.lab.runtimes import DIES_AT_ONCE, rootfs
from tests.lab.runtimes.template import Instances, stop_timeout

# No program inside does it: the image has one, and that is a server.
GIVE_ADDRESS = "/run/test-address"
_GIVE_ADDRESS = """
read -r first _ </proc/$MAINPID/task/$MAINPID/children
exec nsenter --target "$first" --net sh -ec "ip link set host0 up; ip address add $1/24 dev host0"
"""


class Nspawn(Instances):
    runtime = "nspawn"
    template = "systemd-nspawn"
    give_address = _GIVE_ADDRESS

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        address = self.make_root(name, image)
        self.write(GIVE_ADDRESS, _GIVE_ADDRESS)
        # Without a signal of its own systemd-nspawn kills it at once.
        signal = [] if DIES_AT_ONCE in options else ["KillSignal=SIGRTMIN+4"]
        self.write(
            self._settings(name),
            *("[Exec]", "Boot=no", "ProcessTwo=yes", "PrivateUsers=no", "LinkJournal=no", *signal),
            *(f"Environment={key}={value}" for key, value in rootfs.ENVIRONMENT.items()),
            f"Parameters={rootfs.program(self.lab, self.root(name), image, command)}",
            f"LimitNOFILE={_hard_limit(self.lab)}",
            *("[Network]", f"Bridge={rootfs.BRIDGE}"),
        )
        seconds = stop_timeout(options)
        self.write(
            self.drop_in(name),
            *("[Service]", f"ExecStartPost=/bin/sh {GIVE_ADDRESS} {address}"),
            # The stub that is its first process ends at once, and what is stubborn with it.
            *([f"ExecStop=/bin/sleep {seconds}"] if seconds else []),
        )
        self.reload()

    def remove(self, name: str) -> None:
        self.lab.run(["systemctl", "kill", "--signal=KILL", self.unit(name)], check=False)
        self.lab.run(["systemctl", "stop", self.unit(name)], check=False)
        for path in (self._settings(name), self.drop_in(name)):
            rootfs.host_path(self.lab, path).unlink(missing_ok=True)
        self.reload()
        self.drop_root(name)

    def freeze(self, name: str) -> None:
        self.do("freeze", name)

    def thaw(self, name: str) -> None:
        """A machine that dozes is frozen below its unit, of which systemd knows nothing."""
        self.lab.run(["systemctl", "thaw", self.unit(name)], check=False)
        (self.group(name) / "cgroup.freeze").write_text("0")

    def rename(self, old: str, new: str) -> None:
        """The directory is what makes a machine."""
        image, layer = self.made.get(old) or self.made[new]
        self.lab.run(["sh", "-ec", f"umount --lazy {self.root(old)}; rmdir {self.root(old)}"])
        rootfs.layer(self.lab, image, layer, self.root(new))

    def run_in(self, name: str, *command: str) -> str:
        spaces = ["nsenter", f"--target={self.first_process(name)}", "--all", "--root", "--wd"]
        return self.lab.run([*spaces, "--", *command]).stdout

    def is_frozen(self, name: str) -> bool:
        try:
            return "frozen 1" in (self.group(name) / "cgroup.events").read_text()
        except OSError:
            return False

    def first_process(self, name: str) -> int:
        keeper = self.show(name, "MainPID")
        children = self.lab.run(["cat", f"/proc/{keeper}/task/{keeper}/children"]).stdout
        return int(children.split()[0])

    def group(self, name: str) -> Path:
        return self.lab.root / "sys/fs/cgroup/machine.slice" / self.unit(name) / "payload"

    def root(self, name: str) -> str:
        return f"/var/lib/machines/{name}"

    def _settings(self, name: str) -> str:
        return f"/etc/systemd/nspawn/{name}.nspawn"


def _hard_limit(lab: Lab) -> str:
    """Of descriptors; systemd-nspawn gives a thousand by itself."""
    return lab.run(["sh", "-c", "ulimit -Hn"]).stdout.strip()
