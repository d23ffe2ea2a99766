"""Podman, of root: its service speaks Docker's API, mostly."""
