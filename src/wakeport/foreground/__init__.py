"""`wakeport try`: the two programs of a wake in the foreground, with this package in place of systemd."""
