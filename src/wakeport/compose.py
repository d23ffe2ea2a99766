"""A Compose project as services: one for each of its containers, that need each other as the project says.

Pure: what the runtime told goes in, settings come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from wakeport.errors import BadInput
from wakeport.runtimes.project import COMPLETED, HEALTHY, Member

# How long what only others need stays after them: no client of its own could come.
IDLE_BEHIND: Final = "10s"

Remark = str


class Made(NamedTuple):
    """The settings of each service by its name, in the order in which they are to be made."""

    services: dict[str, dict[str, Any]]
    remarks: list[Remark]


def services(
    project: str,
    members: Sequence[Member],
    listeners: Mapping[str, list[dict[str, Any]]],
    without: Sequence[str],
    common: Mapping[str, Any],
) -> Made:
    """`listeners` are the tables of each service that has any, `without` names services to leave alone.

    `common` are settings of all that listen. Raises BadInput.
    """
    known = _by_service(project, members)
    for name in (*listeners, *without):
        if name not in known:
            there = ", ".join(known)
            raise BadInput(f"project {project} has no service {name}", f"it has {there}")
    kept = {name: member for name, member in known.items() if name not in without}
    made: dict[str, dict[str, Any]] = {}
    remarks: list[Remark] = []
    needs = {name: list(_needs(member, kept, remarks)) for name, member in kept.items()}
    _wake_the_rest(needs, listeners, remarks)
    for name in _in_order(project, needs):
        settings: dict[str, Any] = {"container": kept[name].container.name}
        if needs[name]:
            settings["needs"] = [service_name(project, need) for need in needs[name]]
        if _is_to_be_healthy(name, kept):
            settings["ready"] = "health"
        if name in listeners:
            settings = {**common, **settings, "listener": listeners[name]}
        else:
            settings["idle"] = IDLE_BEHIND
        made[service_name(project, name)] = settings
    return Made(made, remarks)


def service_name(project: str, service: str) -> str:
    return f"{project}-{service}"


def _by_service(project: str, members: Sequence[Member]) -> dict[str, Member]:
    if not members:
        raise BadInput(
            f"no container belongs to a project {project}",
            "docker compose create makes them; docker compose ls --all names the projects",
        )
    found: dict[str, Member] = {}
    for member in members:
        if member.service in found:
            raise BadInput(
                f"{member.service} has several containers in project {project}, and a service wakes one",
                f"docker compose up --no-start --scale {member.service}=1",
            )
        found[member.service] = member
    return found


def _needs(member: Member, kept: Mapping[str, Member], remarks: list[Remark]) -> Iterator[str]:
    """What it depends on, but for what runs to its end before: that is no company for a container."""
    for need, condition in member.depends.items():
        if need not in kept:
            continue
        if condition == COMPLETED:
            remarks.append(f"{need} runs to its end before {member.service}: wakeport does not start it")
        else:
            yield need


def _is_to_be_healthy(name: str, kept: Mapping[str, Member]) -> bool:
    return any(member.depends.get(name) == HEALTHY for member in kept.values())


def _wake_the_rest(needs: dict[str, list[str]], listeners: Mapping[str, Any], remarks: list[Remark]) -> None:
    """Whom no client reaches and nobody depends on (a worker, as a rule) wakes with those that listen."""
    needed = {need for wanted in needs.values() for need in wanted}
    for name in list(needs):
        if name in listeners or name in needed:
            continue
        for listening in listeners:
            if listening in _behind(name, needs):
                remarks.append(f"{name} depends on {listening} itself, so {listening} does not wake it")
            else:
                needs[listening].append(name)


def _behind(name: str, needs: Mapping[str, list[str]]) -> set[str]:
    """All that it needs, directly or not."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for need in needs[waiting.pop()]:
            if need not in found:
                found.add(need)
                waiting.append(need)
    return found


def _in_order(project: str, needs: Mapping[str, list[str]]) -> list[str]:
    """Each behind all that it needs."""
    ordered: list[str] = []
    while len(ordered) < len(needs):
        ready = [name for name in needs if name not in ordered and set(needs[name]) <= set(ordered)]
        if not ready:
            circle = ", ".join(name for name in needs if name not in ordered)
            raise BadInput(
                f"in project {project} each waits for the next: {circle}", "leave one out: --without"
            )
        ordered += ready
    return ordered
