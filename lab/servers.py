"""Images of the servers that real clients speak to, from the distribution's packages.

`redis`, `postgres`, `sshd`, `iperf3` and `dnsmasq` do what their packages do by default, apart from what
a container asks for: each listens on every address, stays in the foreground and logs to its stderr.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lab.images import Tree

POSTGRES: Final = Path("/usr/lib/postgresql/15")
POSTGRES_SHARED: Final = Path("/usr/share/postgresql/15")

# Every start but the first finds its data, as with the volume of an image from a registry. A password
# for everyone, so that clients go through the whole of an authentication.
POSTGRES_START: Final = """\
set -e
if ! test -e /tmp/data/PG_VERSION; then
    echo lab >/tmp/password
    initdb --no-sync --no-instructions --username=postgres --auth=scram-sha-256 --pwfile=/tmp/password \\
        /tmp/data
    echo host all all all scram-sha-256 >>/tmp/data/pg_hba.conf
fi
exec postgres -D /tmp/data -c listen_addresses='*' -c unix_socket_directories=/tmp
"""

# It knows one name, and asks nobody: there is no network to ask.
DNSMASQ_START: Final = """\
exec dnsmasq --keep-in-foreground --user=root --pid-file= --log-facility=- --no-resolv --no-hosts \\
    --host-record=asleep.test,192.0.2.80,2001:db8::80 --txt-record=long.test,"$(cat /etc/long)"
"""

# What `docker import --change` adds to each of these images.
CHANGES: Final = {
    "redis": ("""CMD ["redis-server", "--protected-mode", "no", "--dir", "/tmp"]""", "EXPOSE 6379"),
    "postgres": (
        """CMD ["sh", "/etc/start-postgres"]""",
        f"ENV PATH={POSTGRES}/bin:/usr/bin",
        "USER postgres",
        "EXPOSE 5432",
    ),
    "sshd": ("""CMD ["/usr/sbin/sshd", "-D", "-e"]""", "EXPOSE 22"),
    "iperf3": ("""CMD ["iperf3", "--server"]""", "EXPOSE 5201"),
    "dnsmasq": ("""CMD ["sh", "/etc/start-dnsmasq"]""", "EXPOSE 53/tcp", "EXPOSE 53/udp"),
}


def _redis(tree: Tree) -> None:
    tree.programs([Path("/usr/bin/redis-server"), Path("/usr/bin/redis-cli")])


def _postgres(tree: Tree) -> None:
    programs = [POSTGRES / "bin" / name for name in ("initdb", "pg_isready", "postgres")]
    # The compiler for queries wants another 100 MB, and is optional.
    modules = [module for module in (POSTGRES / "lib").glob("*.so") if "llvm" not in module.name]
    tree.programs([Path("/usr/bin/sh"), *programs, *modules])
    for file in sorted(POSTGRES_SHARED.rglob("*")):
        if file.is_file() and "man" not in file.parts:
            tree.copy(file)
    tree.write("etc/start-postgres", POSTGRES_START)


def _sshd(tree: Tree) -> None:
    tree.programs([Path("/usr/sbin/sshd"), Path("/usr/lib/openssh/sftp-server"), Path("/usr/bin/scp")])
    tree.programs(Path("/usr/bin", tool) for tool in ("sh", "cat", "sha256sum", "sleep", "test"))
    tree.write("etc/ssh/sshd_config", "Subsystem sftp /usr/lib/openssh/sftp-server\n")
    tree.directory("run/sshd")
    tree.directory("root/.ssh", 0o700)
    with tempfile.TemporaryDirectory() as directory:
        key = Path(directory, "ssh_host_ed25519_key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        tree.write(f"etc/ssh/{key.name}", key.read_bytes(), 0o600)
        tree.write(f"etc/ssh/{key.name}.pub", Path(f"{key}.pub").read_bytes())


def _iperf3(tree: Tree) -> None:
    tree.programs([Path("/usr/bin/iperf3"), Path("/usr/bin/grep")])


def _dnsmasq(tree: Tree) -> None:
    tree.programs([Path("/usr/sbin/dnsmasq"), Path("/usr/bin/sh"), Path("/usr/bin/cat")])
    tree.write("etc/start-dnsmasq", DNSMASQ_START)
    tree.write("etc/long", ",".join(["x" * 200] * 10))


BUILDERS: Final[dict[str, Callable[[Tree], None]]] = {
    "redis": _redis,
    "postgres": _postgres,
    "sshd": _sshd,
    "iperf3": _iperf3,
    "dnsmasq": _dnsmasq,
}
