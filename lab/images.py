"""Container images from the host's own programs: no registry, no download, a second to make.

`nginx` answers every request on port 80 with one small page. `python` is Python with its standard
library, a shell and a few tools, for test programs of every kind of bad manners. `lab.servers` has more.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from lab import servers

CACHE = Path("/var/cache/wakeport-lab")

# What `docker import --change` adds to an image: https://docs.docker.com/reference/cli/docker/image/import
CHANGES = {
    "nginx": ("""CMD ["nginx", "-g", "daemon off;"]""", "EXPOSE 80"),
    "python": ("""CMD ["python3"]""", "ENV PYTHONUNBUFFERED=1", "ENV LANG=C.UTF-8"),
    **servers.CHANGES,
}

PAGE = "<!doctype html><title>nginx</title><p>A container that was asleep says hello.\n"

NGINX_CONFIGURATION = """\
worker_processes 1;
error_log /dev/stderr notice;
pid /run/nginx.pid;
events { worker_connections 4096; }
http {
    types { text/html html; text/plain txt; application/json json; }
    default_type application/octet-stream;
    access_log /dev/stdout;
    sendfile on;
    keepalive_timeout 65;
    server {
        listen 80 backlog=4096;
        root /usr/share/nginx/html;
        location / { index index.html; }
    }
}
"""

ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
    "sshd:x:100:65534:sshd:/run/sshd:/usr/sbin/nologin\npostgres:x:101:65534:postgres:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\nnobody:x:65533:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

TOOLS = ("cat", "date", "env", "false", "id", "ls", "mkdir", "rm", "sh", "sleep", "test", "touch", "true")

# Of Python's standard library, what no server in a test imports.
LEFT_OUT = {"ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tkinter", "turtledemo"}


def archive(image: str) -> BinaryIO:
    """The tar file of an image, open for reading: from the cache, or made now.

    Raises KeyError for an unknown image, OSError where the host's programs or the cache fail us.
    """
    build = {"nginx": _nginx, "python": _python, **servers.BUILDERS}[image]
    # Made anew whenever the host's packages change or the recipes do.
    installed = Path("/var/lib/dpkg/status")
    installed_at = installed.stat().st_mtime_ns if installed.exists() else 0
    recipes = b"".join(Path(str(file)).read_bytes() for file in (__file__, servers.__file__))
    key = hashlib.sha256(recipes + str(installed_at).encode()).hexdigest()[:16]
    path = CACHE / f"{image}-{key}.tar"
    try:
        return open(path, "rb")
    except FileNotFoundError:
        CACHE.mkdir(parents=True, exist_ok=True)
    for outdated in CACHE.glob(f"{image}-*.tar"):
        outdated.unlink(missing_ok=True)
    # Other labs may make it at the same time: each puts a whole file in place, and reads its own.
    with tempfile.NamedTemporaryFile(dir=CACHE, delete=False) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            build(Tree(tar))
        made = open(file.name, "rb")  # noqa: SIM115 - the caller closes it
        Path(file.name).replace(path)
    return made


class Tree:
    """A root file system on its way into a tar archive; everything in it belongs to root."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self.tar = tar
        self.known: set[str] = set()
        # Where /bin is a link to /usr/bin on the host, so it is here: ldd's paths go through it.
        for name in ("bin", "lib", "lib64", "sbin"):
            host = Path("/", name)
            if host.is_symlink():
                self.link(name, str(host.readlink()))
        for name in ("tmp", "run", "root", "proc", "sys", "dev", "etc"):
            self.directory(name, 0o1777 if name == "tmp" else 0o755)
        for path, text in ACCOUNTS.items():
            self.write(path, text)

    def write(self, path: str, content: str | bytes, mode: int = 0o644, modified: float = 0) -> None:
        data = content.encode() if isinstance(content, str) else content
        entry = self._entry(path, tarfile.REGTYPE, mode)
        if entry is not None:
            entry.size = len(data)
            entry.mtime = modified
            self.tar.addfile(entry, io.BytesIO(data))

    def directory(self, path: str, mode: int = 0o755) -> None:
        entry = self._entry(path, tarfile.DIRTYPE, mode)
        if entry is not None:
            self.tar.addfile(entry)

    def link(self, path: str, target: str) -> None:
        entry = self._entry(path, tarfile.SYMTYPE, 0o777)
        if entry is not None:
            entry.linkname = target
            self.tar.addfile(entry)

    def copy(self, file: Path) -> None:
        """Take a file of the host, under the name it is asked for and through the links on its way."""
        inside = file.parent.resolve() / file.name
        status = file.stat()
        # Python trusts a compiled module only while the source's time of change is the one noted in it.
        modified = int(status.st_mtime)
        self.write(str(inside).lstrip("/"), file.read_bytes(), status.st_mode & 0o777, modified)

    def programs(self, files: Iterable[Path]) -> None:
        """Take programs or modules of the host with the shared libraries that they need."""
        wanted = list(files)
        for file in [*wanted, *_libraries(wanted)]:
            self.copy(file)

    def _entry(self, path: str, kind: bytes, mode: int) -> tarfile.TarInfo | None:
        if path in self.known:
            return None
        self.known.add(path)
        entry = tarfile.TarInfo(path)
        entry.type = kind
        entry.mode = mode
        return entry


def _nginx(tree: Tree) -> None:
    tree.programs([Path("/usr/sbin/nginx")])
    tree.write("etc/nginx/nginx.conf", NGINX_CONFIGURATION)
    tree.write("usr/share/nginx/html/index.html", PAGE)
    # nginx opens these before it has read its configuration.
    tree.directory("var/log/nginx")
    tree.directory("var/lib/nginx")


def _python(tree: Tree) -> None:
    interpreter = Path("/usr/bin/python3").resolve()
    modules = Path("/usr/lib", interpreter.name)
    extensions = sorted((modules / "lib-dynload").glob("*.so"))
    tree.programs([interpreter, *(Path("/usr/bin", tool) for tool in TOOLS), *extensions])
    tree.link("usr/bin/python3", interpreter.name)
    for directory, inner, files in os.walk(modules):
        inner[:] = sorted(set(inner) - LEFT_OUT)
        for name in sorted(files):
            if name.endswith((".py", ".pyc")):
                tree.copy(Path(directory, name))


def _libraries(files: Iterable[Path]) -> list[Path]:
    """Every shared library, and the loader, that `ldd` names for these files."""
    listing = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    return [Path(found) for found in sorted(set(re.findall(r"(/\S+) \(0x", listing)))]
