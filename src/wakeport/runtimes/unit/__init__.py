"""Any service of the host, by systemd."""
