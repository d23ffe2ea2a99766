"""Containers of LXC, each a unit of systemd: lxc@NAME.service."""
