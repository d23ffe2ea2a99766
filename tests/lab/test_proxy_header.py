"""The client's address: told to nginx in the container, and believed of HAProxy in front of us."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial

import pytest

from lab import Lab
from lab.client import Client
from tests.lab.clients import REQUEST
from tests.lab.services import Service
from tests.lab.settings import service_from
from tests.lab.waiting import eventually

# Says whom it serves, and writes it to its log.
NGINX = """
events {}
pid /run/nginx.pid;
http {
    log_format client "served $proxy_protocol_addr port $proxy_protocol_port";
    access_log /dev/stdout client;
    server {
        listen 80 proxy_protocol;
        location / {
            default_type text/plain;
            set $client "$proxy_protocol_addr $proxy_protocol_port";
            return 200 "$client $proxy_protocol_server_addr $proxy_protocol_server_port";
        }
    }
}
"""

HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen version-1
    bind :::8001 v4v6
    server web 127.0.0.1:80 send-proxy
listen version-2
    bind :::8002 v4v6
    server web 127.0.0.1:80 send-proxy-v2
"""

# Prints its own address and port, then the body of the answer.
ASK = """
import socket, sys
client = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)
client.sendall(sys.argv[3].encode() + b"GET / HTTP/1.0\\r\\n\\r\\n")
answer = b""
while data := client.recv(65536):
    answer += data
print(*client.getsockname()[:2])
print(answer.partition(b"\\r\\n\\r\\n")[2].decode())
"""

FORGED = "PROXY TCP4 203.0.113.7 198.51.100.1 51234 443\r\n"

ADDRESSES = pytest.mark.parametrize("host", ["10.99.0.1", "fd99::1"])


@pytest.fixture
def nginx(lab: Lab) -> Iterator[str]:
    """The option that gives nginx the configuration from above."""
    configuration = lab.root / "etc/test-nginx.conf"
    configuration.write_text(NGINX)
    yield "--volume=/etc/test-nginx.conf:/etc/nginx/nginx.conf:ro"
    configuration.unlink()


@pytest.fixture
def visitor(lab: Lab) -> Iterator[Client]:
    """A client at 10.99.0.2 and fd99::2."""
    with Client(lab) as client:
        yield client


@pytest.fixture
def haproxy(lab: Lab) -> Iterator[None]:
    configuration = lab.root / "etc/test-haproxy.cfg"
    configuration.write_text(HAPROXY)
    with lab.popen(["haproxy", "-db", "-f", "/etc/test-haproxy.cfg"]) as running:
        eventually("HAProxy listens", lambda: ":8002" in lab.run(["ss", "-Hltn"]).stdout)
        yield
        running.terminate()
    configuration.unlink()


def ask(visitor: Client, host: str, port: int = 80, first: str = "") -> tuple[str, str]:
    """The visitor's own address and port, and what the application says."""
    own, answer = visitor.run(["/usr/bin/python3", "-c", ASK, host, str(port), first]).stdout.splitlines()
    return own, answer


def has_logged(lab: Lab, line: str) -> bool:
    return line in lab.docker("logs", "web").splitlines()


def chain(lab: Lab, nginx: str, *lines: str) -> Service:
    listener = "\n".join(["[[listener]]", 'on = "80"', "to = 80", *lines])
    return service_from(lab, f'idle = "1h"\n{listener}\n', nginx)


@ADDRESSES
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_sees_who_comes(lab: Lab, visitor: Client, nginx: str, host: str, version: str) -> None:
    chain(lab, nginx, f'send_proxy = "{version}"')
    for _ in ("cold", "warm"):
        own, answer = ask(visitor, host)
        assert answer == f"{own} {host} 80"
        eventually("nginx has logged it", partial(has_logged, lab, "served {} port {}".format(*own.split())))


@ADDRESSES
@pytest.mark.parametrize("port", [8001, 8002], ids=["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.usefixtures("haproxy")
def test_what_haproxy_says_is_believed_and_passed_on(
    lab: Lab, visitor: Client, nginx: str, host: str, port: int, version: str
) -> None:
    web = chain(lab, nginx, f'send_proxy = "{version}"', 'accept_proxy = ["127.0.0.1"]')
    for _ in ("cold", "warm"):
        own, answer = ask(visitor, host, port)
        assert answer == f"{own} {host} {port}"
    assert web.container_runs


@ADDRESSES
def test_a_forged_header_is_refused(lab: Lab, visitor: Client, nginx: str, host: str) -> None:
    web = chain(lab, nginx, 'send_proxy = "v1"', 'accept_proxy = ["127.0.0.1", "10.99.0.9", "fd99::9"]')
    argv = ["/usr/bin/python3", "-c", ASK, host, "80", FORGED]
    for _ in range(5):
        refused = visitor.run(argv, check=False)
        assert "ConnectionResetError" in refused.stderr
    assert not web.container_runs
    assert not web.moments(web.units.supervisor, "")
    # From the source that is trusted, the same words are believed: also while the container runs.
    with lab.network(), socket.create_connection(("127.0.0.1", 80), 30) as friend:
        friend.sendall(FORGED.encode() + REQUEST)
        assert friend.makefile("rb").read().endswith(b"\r\n\r\n203.0.113.7 51234 198.51.100.1 443")
    assert "ConnectionResetError" in visitor.run(argv, check=False).stderr


@pytest.mark.usefixtures("haproxy")
def test_rules_judge_whom_haproxy_names(lab: Lab, visitor: Client, nginx: str) -> None:
    rules = ["[[listener.rule]]", 'from = "10.99.0.0/24"', 'then = "wake"']
    rules += ["[[listener.rule]]", 'then = "403 not for you"']
    web = chain(lab, nginx, 'send_proxy = "v2"', 'accept_proxy = ["127.0.0.1"]', *rules)
    with lab.network(), socket.create_connection(("127.0.0.1", 8002), 30) as stranger:
        stranger.sendall(REQUEST)
        assert stranger.makefile("rb").read().endswith(b"not for you")
    assert not web.moments(web.units.supervisor, "")
    own, answer = ask(visitor, "10.99.0.1", 8002)
    assert answer.startswith(own)
