"""Which programs run at a wake: the entry files and the part of this package that units execute.

They run from a copy, so that nothing depends on a virtual environment or a home
directory. The copy's name carries a digest of its content: it never changes in
place under a process that runs from it, and whether it is stale can be read off
its name.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Final

import wakeport

MODULES: Final = (
    *("__init__.py", "activation.py", "loop.py"),
    *("lease.py", "lease_connection.py", "lease_holder.py"),
)
PACKAGES: Final = ("bypass", "dbus", "keep", "light", "netlink", "proxy", "runtimes", "supervisor")
ENTRIES: Final = {
    "keeper.py": "wakeport.keep.main",
    "proxy.py": "wakeport.proxy.main",
    "removal.py": "wakeport.runtimes.removal",
    "starter.py": "wakeport.proxy.starter",
    "supervisor.py": "wakeport.supervisor.main",
    "watcher.py": "wakeport.proxy.watch.watcher",
}

# A script itself is compiled anew at each start, so all it does is to import what is compiled already.
_ENTRY: Final = """import sys

sys.path.insert(0, __file__.rpartition("/")[0])
from {module} import main

main()
"""

Programs = dict[str, bytes]


def collect(package: Path = Path(wakeport.__file__).parent) -> Programs:
    """Every file of a copy: its relative path and its content, in a fixed order."""
    sources = [package / name for name in MODULES]
    for name in PACKAGES:
        sources += (package / name).rglob("*.py")
    copied = {f"wakeport/{path.relative_to(package)}": path.read_bytes() for path in sources}
    copied |= {entry: _ENTRY.format(module=module).encode() for entry, module in ENTRIES.items()}
    return dict(sorted(copied.items()))


def directory_name(programs: Programs, version: str = wakeport.__version__) -> str:
    """What the copy's directory is called, as in "0.1.0-1f3a9c0e"."""
    digest = hashlib.sha256()
    for path, content in programs.items():
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return f"{version}-{digest.hexdigest()[:8]}"


def cache_tag(python: str) -> str:
    """What `python` calls its compiled files, as in "cpython-311"; empty where it does not run."""
    question = [python, "-IS", "-c", "import sys; print(sys.implementation.cache_tag)"]
    try:
        return subprocess.run(question, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def compiled(copy: Path, tag: str) -> bool:
    """Whether all modules of a copy are compiled for the interpreter with that cache tag, PEP 3147."""
    modules = [path for path in copy.rglob("*.py") if path.parent != copy]
    return all((path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc").exists() for path in modules)


def read_copy(directory: Path) -> Programs:
    """What a copy consists of now; equal to what `collect` gave, unless somebody has edited it."""
    found = {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*.py")}
    return dict(sorted(found.items()))
