"""Podman, of an ordinary user: containers without root, behind the ports that they publish."""
