"""The one door to nft(8) and ip(8)."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any, Final

from wakeport.errors import NotThere, Problem

PACKAGES: Final = {"nft": "nftables", "ip": "iproute2"}


class Nftables:
    """Its methods raise NotThere where there is no such program, Problem with its own words."""

    def do(self, commands: str) -> None:
        """All of them, one a line, or none."""
        run("nft", commands)

    def listed(self, *what: str) -> list[dict[str, Any]]:
        """What `nft list` says of it, as libnftables-json(5) has it."""
        found = json.loads(run("nft", "--json", "list", *what))["nftables"]
        return [entry for entry in found if "metainfo" not in entry]

    def there(self) -> None:
        """Whether it can be run at all."""
        run("nft", "--version")


def run(program: str, *words: str) -> str:
    """What it prints. Raises NotThere and Problem."""
    try:
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"}
        )
    except FileNotFoundError:
        raise NotThere(
            f"there is no program {program} here", f"install it: apt install {PACKAGES[program]}"
        ) from None
    if done.returncode != 0:
        said = done.stderr.strip().partition("\n")[0] or f"it ended with {done.returncode}"
        raise Problem(f"{program}: {said}", f"{program} {' '.join(words)[:60]}")
    return done.stdout
