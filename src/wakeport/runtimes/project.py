"""A container as a member of a project, in which several belong together."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from wakeport.runtimes.container import Container

# What a member may have to be before another starts: Compose specification, depends_on
STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"


class Member:
    """`service` is what the project calls it; `depends` has the services that it needs and their words."""

    def __init__(self, service: str, container: Container, depends: Mapping[str, str]) -> None:
        self.service = service
        self.container = container
        self.depends = depends
