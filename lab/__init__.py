"""A laboratory: a real systemd as PID 1 with a real Docker Engine, in namespaces, on a disk in memory.

It needs root and a dozen of the distribution's packages (`scripts/setup lab`), and neither systemd as the
host's PID 1 nor an image registry. Nothing of it is ever mounted on the host, no packet leaves it, and
it vanishes with the process that made it.
"""

from lab.machine import Lab, LabError

__all__ = ["Lab", "LabError"]
