"""Runtimes whose containers are units of systemd: what they share."""
