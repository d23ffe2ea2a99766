"""Messages of D-Bus, as far as systemd is asked by them."""
