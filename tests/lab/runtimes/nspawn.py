"""Machines of systemd-nspawn in which one program runs, each with a veth pair to a bridge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab import nspawn, rootfs
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.runtimes.template import Instances, stop_timeout


class Nspawn(Instances):
    runtime = "nspawn"
    template = "systemd-nspawn"
    give_address = nspawn.GIVE_ADDRESS

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        address = self.make_root(name, image)
        self.write(nspawn.GIVER, nspawn.GIVE_ADDRESS)
        program = rootfs.program(self.lab, self.root(name), image, command)
        signal = "" if DIES_AT_ONCE in options else "SIGRTMIN+4"
        self.write(nspawn.settings_file(name), *nspawn.settings(self.lab, program, signal))
        seconds = stop_timeout(options)
        self.write(
            self.drop_in(name),
            *nspawn.drop_in(address),
            # The stub that is its first process ends at once, and what is stubborn with it.
            *([f"ExecStop=/bin/sleep {seconds}"] if seconds else []),
        )
        self.reload()

    def remove(self, name: str) -> None:
        self.lab.run(["systemctl", "kill", "--signal=KILL", self.unit(name)], check=False)
        self.lab.run(["systemctl", "stop", self.unit(name)], check=False)
        for path in (nspawn.settings_file(name), self.drop_in(name)):
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
        return self.lab.root / "sys/fs/cgroup" / nspawn.group(name)

    def root(self, name: str) -> str:
        return nspawn.root(name)
