"""Awake traffic past the proxy: the kernel sends new connections straight to the container."""
