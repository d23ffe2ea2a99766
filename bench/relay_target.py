"""What every relay carries to: nginx in one container, and the settings of the lab that a load needs."""

from __future__ import annotations

from bench.ground import Ground
from bench.visit import Address
from lab import Lab

NAME = "target"
PORT = 80
PUBLISHED = 1080

BODY = "Hello from the container\n"
BULK = 256 * 1024 * 1024  # bytes
BULK_PATH = "/bulk"
WHO_PATH = "/who"  # answered with the client's address, as nginx sees it

DIRECTORY = "/run/bench"  # a tmpfs of the lab

# One worker, as little work for a request as it can do: what is compared is in front of it. No timeout
# ends a connection that a measurement holds open, and no count of requests.
CONFIGURATION = f"""\
worker_processes 1;
worker_rlimit_nofile 20000;
error_log /dev/stderr error;
pid /run/nginx.pid;
events {{ worker_connections 16000; }}
http {{
    default_type application/octet-stream;
    access_log off;
    sendfile on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_header_timeout 1h;
    server {{
        listen {PORT} backlog=4096;
        root {DIRECTORY};
        index hello;
        location = {WHO_PATH} {{ return 200 $remote_addr; }}
    }}
}}
"""

# Thousands of short connections a second leave their ports in TIME_WAIT, a minute long: who comes later in
# a round would find fewer free ones, and look for them longer. The container has its own such setting.
TIME_WAIT = "net.ipv4.tcp_max_tw_buckets=100"
SETTINGS = {
    "net.ipv4.ip_local_port_range": "2048 65535",  # above every port that is listened on here
    "net.ipv4.tcp_max_tw_buckets": "100",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait": "1",
    "net.netfilter.nf_conntrack_tcp_timeout_close": "1",
}


def lay_out(ground: Ground) -> None:
    """The files that are served, and the lab's settings."""
    lab = ground.lab
    lab.run(["mkdir", "-p", DIRECTORY])
    ground.write(f"{DIRECTORY}/nginx.conf", CONFIGURATION)
    ground.write(f"{DIRECTORY}/hello", BODY)
    # Written, not sparse: a hole would be read without touching memory.
    lab.run(["dd", "if=/dev/urandom", f"of={DIRECTORY}{BULK_PATH}", "bs=1M", f"count={BULK >> 20}"])
    for key, value in SETTINGS.items():
        lab.run(["sysctl", "--quiet", "--write", f"{key}={value}"])


def create(lab: Lab, name: str, *options: str) -> None:
    """A container that serves them, not started; `options` are docker's."""
    volumes = (f"{DIRECTORY}:{DIRECTORY}:ro", f"{DIRECTORY}/nginx.conf:/etc/nginx/nginx.conf:ro")
    lab.create(name, "--sysctl", TIME_WAIT, *(f"--volume={each}" for each in volumes), *options)


class Target:
    """The container, which stays up from `start` to `remove`."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def start(self) -> None:
        lay_out(self.ground)
        create(self.ground.lab, NAME, f"--publish={PUBLISHED}:{PORT}")
        self.ground.lab.docker("start", NAME)

    def remove(self) -> None:
        self.ground.lab.run(["docker", "rm", "--force", "--volumes", NAME], check=False)
        self.ground.lab.run(["rm", "-rf", DIRECTORY])

    def processes(self) -> list[int]:
        """As the host numbers them."""
        name = self.ground.lab.docker("inspect", "--format", "{{.Id}}", NAME)
        (group,) = (self.ground.lab.root / "sys/fs/cgroup").rglob(f"*{name}*/cgroup.procs")
        return [int(line) for line in group.read_text().split()]

    @property
    def address(self) -> Address:
        return (self.ground.engine.address(NAME), PORT)

    @property
    def published(self) -> Address:
        """Not on 127.0.0.1: from there Docker's rules send nothing, and docker-proxy serves."""
        gateway = "{{.NetworkSettings.Networks.bridge.Gateway}}"
        return (self.ground.lab.docker("inspect", "--format", gateway, NAME), PUBLISHED)
