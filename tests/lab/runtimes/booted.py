"""Machines of systemd-nspawn that boot: a whole systemd, which starts nginx and gives itself its address."""

from __future__ import annotations

from lab import images, nspawn, rootfs
from tests.lab.runtimes.nspawn import Nspawn

SERVED = "web.service"
STOPPED = "/var/stopped"  # inside; has a line for each clean end of nginx

_PREPARE = """
cd {root}
rm -rf etc/systemd/system etc/systemd/network etc/hostname var/log/journal
mkdir -p etc/systemd/system/multi-user.target.wants etc/systemd/network etc/nginx
ln -s /lib/systemd/system/multi-user.target etc/systemd/system/default.target
ln -s ../{served} etc/systemd/system/multi-user.target.wants/
ln -s /lib/systemd/system/systemd-networkd.service etc/systemd/system/multi-user.target.wants/
# Without one of its own it would take this for its first boot, and enable all that is installed.
echo {machine_id} >etc/machine-id
"""

_SERVICE = f"""[Service]
ExecStart=/usr/sbin/nginx -g "daemon off;"
ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT >>{STOPPED}'
"""

_NETWORK = """[Match]
Name=host0
[Network]
Address={address}/24
"""


class Booted(Nspawn):
    """Only `create` and what a machine of one program has not differ."""

    def boot(self, name: str, network: str = f"Bridge={rootfs.BRIDGE}", port: int = 80, *exec_: str) -> None:
        """Make one whose nginx listens on `port`; `exec_` are lines of its settings."""
        address = self.make_root(name, rootfs.WHOLE)
        machine_id = f"{int(address.rpartition('.')[2]):032x}"
        prepare = _PREPARE.format(root=self.root(name), served=SERVED, machine_id=machine_id)
        self.lab.run(["sh", "-ec", prepare])
        inside = self.root(name)
        self.write(f"{inside}/etc/systemd/system/{SERVED}", _SERVICE)
        self.write(f"{inside}/etc/systemd/network/10-host0.network", _NETWORK.format(address=address))
        settings = images.NGINX_CONFIGURATION.replace("listen 80 ", f"listen {port} ")
        # There they are sockets of the journal, which nobody can open.
        settings = settings.replace("/dev/stderr", "stderr").replace("/dev/stdout", "off")
        self.write(f"{inside}/etc/nginx/nginx.conf", settings)
        self.write(f"{inside}/usr/share/nginx/html/index.html", images.PAGE.rstrip("\n"))
        self.write(
            nspawn.settings_file(name), "[Exec]", "Boot=yes", "PrivateUsers=no", *exec_, "[Network]", network
        )
        self.reload()

    def stopped(self, name: str) -> list[str]:
        """How its nginx ended, each time that somebody saw it."""
        file = rootfs.host_path(self.lab, f"{self.root(name)}{STOPPED}")
        return file.read_text().split() if file.exists() else []
