"""Which containers a Compose project has: they carry its labels, whatever made them.

https://github.com/compose-spec/compose-go, "labels"; no `docker compose` is needed to read them.
"""

from __future__ import annotations

from wakeport.light import json
from wakeport.runtimes.docker.container import Inspected
from wakeport.runtimes.docker.engine import Engine, quoted
from wakeport.runtimes.docker.look import asked
from wakeport.runtimes.project import Member

LABEL = "com.docker.compose."
NO = ("", "False", "false")


def members(project: str) -> list[Member]:
    """The containers of a project, by the names of their services. Raises RuntimeProblem."""
    found = asked(lambda engine: _members(engine, project))
    return sorted(found, key=lambda member: (member.service, member.container.name))


async def _members(engine: Engine, project: str) -> list[Member]:
    filters = quoted(json.dumps({"label": [f"{LABEL}project={project}"]}))
    listed = await engine.call("GET", f"/containers/json?all=1&filters={filters}")
    found = []
    for entry in listed:
        labels = entry["Labels"]
        if labels.get(f"{LABEL}oneoff", "") in NO:  # not what `docker compose run` has made
            container = Inspected(await engine.inspect(entry["Id"]))
            depends = depends_on(labels.get(f"{LABEL}depends_on", ""))
            found.append(Member(labels.get(f"{LABEL}service", ""), container, depends))
    return found


def depends_on(label: str) -> dict[str, str]:
    """Each service that is needed, and what it has to be: "db:service_healthy:false,cache:..."."""
    found = {}
    for entry in filter(None, label.split(",")):
        service, _, rest = entry.partition(":")
        found[service] = rest.partition(":")[0] or "service_started"
    return found
