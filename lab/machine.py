"""A lab, seen from outside: boot it, run things in it, cut its power."""

from __future__ import annotations

import os
import pwd
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from lab import images
from lab.network import network_of

CHECKOUT = Path(__file__).resolve().parent.parent

# Where the lab's disk is mounted, in a namespace in which nobody else looks. The mount hides what the
# host has there from the lab's first steps, so a directory that holds none of our own files.
MOUNTPOINTS = tuple(map(Path, ("/mnt", "/media", "/srv", "/opt")))

BOOT_LIMIT = 120.0
SHUTDOWN_LIMIT = 60.0

ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LOGNAME": "root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SHELL": "/bin/bash",
    "TERM": os.environ.get("TERM", "dumb"),
    "USER": "root",
}


class LabError(Exception):
    """The lab did not do what was asked; the message ends with the last lines of its console."""


class Lab:
    """One machine with systemd as PID 1, Docker Engine, and `wakeport` on PATH.

    `with Lab() as lab:` boots it and takes it down. Used without `with`, call `boot()` first and
    `close()` last; if the calling process dies before that, the lab vanishes all the same.
    """

    def __init__(self) -> None:
        self._holder: subprocess.Popen[str] | None = None
        self._pid: int | None = None
        self._disk = next(path for path in MOUNTPOINTS if path.is_dir() and not _holds_our_files(path))

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether it has booted and nobody has taken it down since."""
        return self._pid is not None and Path(f"/proc/{self._pid}").exists()

    @property
    def pid(self) -> int:
        """The lab's systemd, as the host numbers it. Another one after each boot."""
        if self._pid is None:
            raise LabError("the lab does not run; boot() starts it")
        return self._pid

    @property
    def root(self) -> Path:
        """The lab's root directory, from outside. Absolute links in it lead to the host's files."""
        return Path(f"/proc/{self.pid}/root")

    def boot(self) -> float:
        """Start systemd and wait until it has finished booting. Returns the seconds that took."""
        if self._pid is not None:
            raise LabError("the lab runs already; shutdown(), reboot() or kill() end it")
        began = time.monotonic()
        if self._holder is None:
            self._hold()
        self._tell("boot")
        word, _, pid = self._hear(BOOT_LIMIT).partition(" ")
        if word != "up":
            raise LabError(f"the lab went down while it booted{self._console()}")
        self._pid = int(pid)
        return time.monotonic() - began

    def shutdown(self) -> float:
        """Power off through systemd, as a person would. Returns the seconds that took."""
        began = time.monotonic()
        self.run(["systemctl", "poweroff"])
        try:
            self._await_down(SHUTDOWN_LIMIT)
        except LabError as error:
            jobs = self.run(["systemctl", "list-jobs", "--no-pager"], check=False).stdout
            raise LabError(f"{error}\njobs that systemd waits for:\n{jobs}") from None
        return time.monotonic() - began

    def reboot(self) -> float:
        """Shut down and boot again on the same disk. Returns the seconds that both took."""
        return self.shutdown() + self.boot()

    def kill(self) -> None:
        """Cut the power: no process gets to say goodbye. The disk stays as it is."""
        self._tell("cut")
        self._await_down(SHUTDOWN_LIMIT)

    def close(self) -> None:
        """Take everything down and leave nothing behind, whatever state the lab is in."""
        holder, self._holder, self._pid = self._holder, None, None
        if holder is not None:
            with holder:
                pass  # closes its stdin, which is its cue, and waits for it

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        input: str | None = None,  # noqa: A002 - subprocess.run's own word
        check: bool = True,
        timeout: float | None = 60.0,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the lab, as subprocess.run does, and collect its output.

        `env` comes on top of a small fixed environment; nothing of the caller's gets in. `timeout` is in
        seconds. A failure raises LabError with what the command wrote to stderr, unless `check` is false.
        """
        result = subprocess.run(
            self._inside(argv, user),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self._environment(env, user),
            check=False,
        )
        if check and result.returncode != 0:
            command = " ".join(map(str, argv))
            raise LabError(f"in the lab, `{command}` failed ({result.returncode}): {result.stderr.strip()}")
        return result

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        stdin: int | IO[Any] | None = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = subprocess.PIPE,
        stderr: int | IO[Any] | None = subprocess.PIPE,
        text: bool = True,
    ) -> subprocess.Popen[Any]:
        """Start a command in the lab and go on. `terminate()` and `kill()` both kill it outright."""
        return subprocess.Popen(
            self._inside(argv, user),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=text,
            env=self._environment(env, user),
        )

    def docker(self, *arguments: str | Path, timeout: float = 60.0) -> str:
        """Run the docker client in the lab; returns its output, stripped."""
        return self.run(["docker", *arguments], timeout=timeout).stdout.strip()

    def create(
        self, name: str, *options: str | Path, image: str = "nginx", command: Sequence[str | Path] = ()
    ) -> str:
        """Create a container, without starting it; `options` are docker's. Returns its id."""
        return self.docker("create", "--name", name, *options, image, *command)

    def load(self, image: str) -> None:
        """Give the lab's Docker one of the images of `lab.images` and `lab.servers`."""
        changes = [f"--change={change}" for change in images.CHANGES[image]]
        # Through a pipe: the cache of archives may be on a file system that the lab does not see.
        with images.archive(image) as file:
            importing = self.popen(["docker", "import", *changes, "-", image], stdin=file)
            _, errors = importing.communicate(timeout=60)
        if importing.returncode != 0:
            raise LabError(f"the lab's Docker did not take the image {image}: {errors.strip()}")

    def network(self) -> AbstractContextManager[None]:
        """Make sockets in the lab: those that the calling thread opens in this block are the lab's.

        `with lab.network(): client = socket.create_connection(("127.0.0.1", 80))`. The client stays
        connected after the block, and costs no process.
        """
        return network_of(self.pid)

    def _inside(self, argv: Sequence[str | Path], user: str | None) -> list[str]:
        # When nsenter is killed, what it has started dies too, instead of staying behind in the lab.
        become = ["setpriv", "--pdeathsig", "KILL"]
        if user is not None:
            account = self._account(user)
            become += [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
        spaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--root", "--wd"]
        return ["nsenter", "--target", str(self.pid), *spaces, *become, "--", *map(str, argv)]

    def _environment(self, extra: Mapping[str, str] | None, user: str | None) -> dict[str, str]:
        identity = {}
        if user is not None:
            identity = {"HOME": self._account(user).pw_dir, "LOGNAME": user, "USER": user}
        return {**ENVIRONMENT, **identity, **(extra or {})}

    def _account(self, user: str) -> pwd.struct_passwd:
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, password, uid, gid, gecos, home, shell = line.split(":")
            if name == user:
                return pwd.struct_passwd((name, password, int(uid), int(gid), gecos, home, shell))
        raise LabError(f"the lab has no user {user}")

    def _hold(self) -> None:
        _require_what_it_takes()
        scope = []
        if Path("/run/systemd/system").is_dir():
            # There the cgroup tree is systemd's, and one asks it for a part: man 1 systemd-run.
            scope = ["systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--"]
        # `slave`: a disk that the host unmounts is to go here too, and nothing is to go the other way.
        space = ["unshare", "--mount", "--propagation", "slave", "--"]
        holder = [sys.executable, "-m", "lab.holder", str(self._disk), str(Path(sys.prefix, "bin/wakeport"))]
        self._holder = subprocess.Popen(
            [*scope, *space, *holder, *map(str, _shared())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            env=ENVIRONMENT,
            # An interrupt from the keyboard is for us, and we take it down in order.
            start_new_session=True,
        )
        self._hear(BOOT_LIMIT)

    def _tell(self, word: str) -> None:
        if self._holder is None or self._holder.stdin is None:
            raise LabError("the lab is closed; make a new one")
        print(word, file=self._holder.stdin, flush=True)

    def _hear(self, limit: float) -> str:
        """The holder's next line, within `limit` seconds."""
        if self._holder is None or self._holder.stdout is None:
            raise LabError("the lab is closed; make a new one")
        readable, *_ = select.select([self._holder.stdout], [], [], limit)
        if not readable:
            raise LabError(f"nothing from the lab for {limit:.0f} s{self._console()}")
        line = self._holder.stdout.readline()
        if not line:
            raise LabError(
                f"the lab's holder ended with exit code {self._holder.wait()}; stderr has its last words\n"
                "a lab needs all of root's rights: in a container, those of --privileged"
            )
        return line.strip()

    def _await_down(self, limit: float) -> None:
        heard = self._hear(limit)
        if heard != "down":
            raise LabError(f"the lab said {heard!r} where it should have gone down")
        self._pid = None

    def _console(self) -> str:
        if self._holder is None:
            return ""
        log = Path(f"/proc/{self._holder.pid}/root/{self._disk}/console.log")
        try:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            return ""
        return "\nthe last lines of its console:\n" + "\n".join(f"  {line}" for line in lines[-25:])


def _shared() -> list[Path]:
    """What the lab must see live of the host: this checkout, its environment and its Python."""
    wanted = {CHECKOUT, Path(sys.prefix), Path(sys.base_prefix)}
    return sorted(path for path in wanted if not path.is_relative_to("/usr"))


def _holds_our_files(directory: Path) -> bool:
    return any(path.is_relative_to(directory) for path in _shared())


def _require_what_it_takes() -> None:
    if os.geteuid() != 0:
        raise LabError("a lab needs root, for its namespaces; run this again as root")
    check = subprocess.run(
        [CHECKOUT / "scripts/setup", "lab", "--check"], capture_output=True, text=True, check=False
    )
    if check.returncode != 0:
        raise LabError(check.stderr.strip())
