"""Machines of systemd-nspawn, each a unit of systemd: systemd-nspawn@NAME.service."""
