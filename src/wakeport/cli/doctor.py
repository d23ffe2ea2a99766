"""wakeport doctor: what could be wrong, and what to do."""

from __future__ import annotations

import click

from wakeport import doctor, doctor_bypass
from wakeport.cli import options
from wakeport.cli.settled import chosen, load
from wakeport.errors import Problem
from wakeport.finding import Finding
from wakeport.layout import Layout
from wakeport.service import DEFAULTS, Service
from wakeport.systemd import Systemd

ILL = 1


@click.command("doctor")
@options.some_services
@click.pass_obj
def verb(layout: Layout, name: tuple[str, ...]) -> None:
    """Look for what could be wrong with this machine and with each NAME (or all services). Changes nothing.

    Exits 1 where something is wrong; remarks alone leave it at 0.
    """
    systemd = Systemd(layout.scope)
    services, unreadable = [], []
    for one in layout.services():
        try:
            services.append(load(layout, one))
        except Problem as problem:
            unreadable.append(Finding(one, problem.fact, problem.hint))
    looked_at = _looked_at(layout, services, name)
    usual = {DEFAULTS["runtime"]} & set(layout.scope.runtimes)
    runtimes = sorted({service.runtime for service in looked_at} or usual)
    found = [*doctor.machine(layout, systemd, runtimes), *doctor_bypass.machine(layout, looked_at)]
    found += unreadable
    for service in looked_at:
        found += doctor.service(layout, systemd, service, services)
    for finding in found:
        _print(finding, layout.scope.spoken(finding.hint))
    if any(finding.wrong for finding in found):
        raise click.exceptions.Exit(ILL)
    click.echo(f"{len(looked_at)} service{'' if len(looked_at) == 1 else 's'} looked at, nothing wrong")


def _looked_at(layout: Layout, services: list[Service], names: tuple[str, ...]) -> list[Service]:
    if not names:
        return services
    known = {service.name: service for service in services}
    return [known[one] if one in known else load(layout, one) for one in chosen(layout, names)]


def _print(finding: Finding, hint: str) -> None:
    about = f"{finding.about}: " if finding.about else ""
    click.secho("wrong " if finding.wrong else "remark", fg="red" if finding.wrong else "yellow", nl=False)
    click.echo(f"  {about}{finding.fact}")
    for line in hint.splitlines():
        click.echo(f"        {line}")
