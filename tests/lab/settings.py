"""A service from settings that `wakeport add` has no options for: a file, as a person writes it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import dedent

from lab import Lab
from tests.lab.runtimes.docker import Docker
from tests.lab.services import Service


def service_from(
    lab: Lab, settings: str, *create: str, image: str = "nginx", command: Sequence[str] = (), port: int = 80
) -> Service:
    """A container `web` and its service; `create` is docker's, `port` where its clients go."""
    lab.create("web", *create, image=image, command=command)
    folder = lab.root / "etc/wakeport"
    folder.mkdir(exist_ok=True)
    (folder / "web.toml").write_text(dedent(settings))
    lab.run(["wakeport", "apply", "web"])
    return Service(Docker(lab), "web", "web", port)
