"""curl: HTTP/1.1 and HTTP/2 over TLS, uploads of every kind, and a download beyond 32 bits."""

from __future__ import annotations

import hashlib
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lab import Lab
from tests.lab.programs import python
from tests.lab.rounds import rounds
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService, Service

DOWNLOAD = rounds(64, full=4097)  # MiB; in full beyond 4 GiB, where counters of 32 bits have begun anew
UPLOAD = rounds(8, full=128)  # MiB
SLEEPS = rounds(1, full=5)

# `/shared` is a directory of the lab, everything else one of the container.
CONFIGURATION = """
events {}
error_log /dev/stderr notice;
pid /run/nginx.pid;
http {
    access_log off;
    client_max_body_size 0;
    server {
        listen 80;
        listen 443 ssl http2;
        ssl_certificate /shared/certificate.pem;
        ssl_certificate_key /shared/key.pem;
        location / {
            root /tmp;
            dav_methods PUT;
        }
        location /shared {
            root /;
        }
    }
}
"""

# Each MiB has its number in front, so that none can stand for another.
POURS = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        mebibytes = int(self.path.removeprefix("/"))
        self.send_response(200)
        self.send_header("Content-Length", mebibytes << 20)
        self.end_headers()
        for number in range(mebibytes):
            self.wfile.write(number.to_bytes(8, "big") + bytes(range(256)) * 4095 + bytes(248))

http.server.ThreadingHTTPServer(("", 80), Handler).serve_forever()
"""


class Told(NamedTuple):
    output: str
    errors: str


@pytest.fixture
def files(lab: Lab) -> Iterator[Path]:
    """A directory of the lab, `/run/files` there: a certificate for `lab` and its key, and room for more."""
    directory = lab.root / "run/files"
    directory.mkdir()
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    request += ["-nodes", "-subj", "/CN=lab", "-addext", "subjectAltName=DNS:lab"]
    lab.run([*request, "-keyout", "/run/files/key.pem", "-out", "/run/files/certificate.pem"])
    yield directory
    lab.run(["rm", "-r", "/run/files"])


@pytest.fixture
def web(service: AddService, files: Path) -> Service:
    """nginx with two listeners: HTTP, and TLS that only the container can read."""
    (files / "nginx.conf").write_text(CONFIGURATION)
    nginx = ["nginx", "-c", "/shared/nginx.conf", "-g", "daemon off;"]
    volume = "--volume=/run/files:/shared:ro"
    return service("web", "--listen=443=443", image="nginx", command=nginx, create=[volume], idle="1s")


def curl(web: Service, *words: str, stdin: Path = Path("/dev/null")) -> Told:
    """curl as it comes, except that it trusts the certificate."""
    always = ["curl", "--no-progress-meter", "--fail", "--cacert", "/run/files/certificate.pem"]
    with stdin.open("rb") as file, web.lab.popen([*always, *words], stdin=file) as process:
        output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return Told(output, errors)


SCHEMES = [("http", "1.1"), ("https", "2")]  # HTTP/2 is agreed on within TLS: the proxy only carries it


@pytest.mark.parametrize(("scheme", "version"), SCHEMES)
def test_a_hundred_files_with_the_very_first_requests(
    web: Service, files: Path, scheme: str, version: str
) -> None:
    """In parallel: over HTTP/1.1 with fifty first connections, over HTTP/2 with one."""
    contents = [random.Random(number).randbytes(number * 1000) for number in range(100)]
    for number, content in enumerate(contents):
        (files / f"{number}").write_bytes(content)
    url = f"{scheme}://lab/shared/[0-99]"
    for _ in range(SLEEPS):
        assert web.is_asleep
        told = curl(web, "--parallel", "-w", "%{http_version}\n", "-o", "/run/files/got-#1", url).output
        assert told.split() == [version] * 100
        for number, content in enumerate(contents):
            assert (files / f"got-{number}").read_bytes() == content, number
        # One after the other they share a connection, which is closed with the last.
        told = curl(web, "-w", "%{stderr}%{num_connects}\n", "-o", "/dev/null", url).errors
        assert told.split() == ["1"] + ["0"] * 99
        web.falls_asleep()


@pytest.mark.parametrize(("scheme", "version"), SCHEMES)
@pytest.mark.parametrize("chunked", [False, True], ids=["of a known length", "in chunks"])
def test_an_upload_that_wakes(web: Service, files: Path, scheme: str, version: str, chunked: bool) -> None:
    """Over HTTP/1.1 curl announces it, and here waits for `100 Continue` as long as a wake may take."""
    content = os.urandom(UPLOAD << 20)
    (files / "sent").write_bytes(content)
    for _ in range(SLEEPS):
        assert web.is_asleep
        for name in ("cold", "warm"):
            # From a pipe curl cannot know the length: chunks in HTTP/1.1, frames to the last in HTTP/2.
            source = "-" if chunked else "/run/files/sent"
            words = ["--verbose", "--expect100-timeout", "60", "--upload-file", source]
            told = curl(web, *words, f"{scheme}://lab/{name}", stdin=files / "sent").errors
            if version == "1.1":
                assert "> Expect: 100-continue" in told
                assert "< HTTP/1.1 100 Continue" in told
            assert re.search(rf"^< HTTP/{version} 20[14]", told, re.MULTILINE)
            assert ("> Transfer-Encoding: chunked" in told) == (chunked and version == "1.1")
        web.falls_asleep()
        for name in ("cold", "warm"):
            curl(web, "-o", "/run/files/got", f"{scheme}://lab/{name}")
            assert (files / "got").read_bytes() == content
        web.falls_asleep()


def test_a_large_download(service: AddService) -> None:
    web = service("web", image="python", command=python(POURS), create=[DIES_AT_ONCE], idle="1s")
    expected = hashlib.blake2b()
    for number in range(DOWNLOAD):
        expected.update(number.to_bytes(8, "big") + bytes(range(256)) * 4095 + bytes(248))
    assert web.is_asleep
    for _ in ("cold", "warm"):
        received = hashlib.blake2b()
        with web.lab.popen(["curl", "--no-progress-meter", f"http://lab/{DOWNLOAD}"], text=False) as curl:
            assert curl.stdout is not None
            while data := curl.stdout.read(1 << 20):
                received.update(data)
        assert curl.returncode == 0
        assert received.digest() == expected.digest()
    web.falls_asleep()
