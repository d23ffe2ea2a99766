"""What `add` and `apply` tell of a way past the proxy that will not be open."""

from __future__ import annotations

import click

from wakeport import doctor_bypass, status
from wakeport.layout import Layout
from wakeport.runtimes.container import Container
from wakeport.service import Service


def tell_bypass(layout: Layout, service: Service, container: Container | None) -> None:
    """As doctor would: the service works all the same, by its proxy."""
    if not service.bypass or container is None:
        return
    found = doctor_bypass.lacking(doctor_bypass.FORWARDING) or doctor_bypass.way(layout, service, container)
    found += doctor_bypass.supervisors_word(service, status.published(layout, service.name))
    for finding in found:
        click.echo(f"{service.name}: {finding.fact}", err=True)
        for line in finding.hint.splitlines():
            click.echo(f"  {line}", err=True)
