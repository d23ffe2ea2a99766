"""wakeport: a port that wakes a container."""

__version__ = "0.1.0"
