"""The port of one `wakeport try`: held from the first moment to the last, as systemd would hold it."""

from __future__ import annotations

import errno
import os
import socket

from wakeport import preflight
from wakeport.errors import BadInput, InTheWay, NoRights
from wakeport.place import Place
from wakeport.runtimes.network import LOOPBACK
from wakeport.socket_unit import BACKLOG


def place_of(text: str) -> Place:
    """Without an address it is for this machine alone. Raises BadInput."""
    try:
        place = Place.parse(text)
    except ValueError as error:
        raise BadInput(f"--listen: {error}", "wakeport try --help") from None
    if not place.tcp:
        raise BadInput(f"--listen: {text!r} is no TCP port", "write PORT or ADDRESS:PORT")
    return place if place.address else Place(port=place.port, address=LOOPBACK)


def opened(place: Place) -> socket.socket:
    """Raises InTheWay, NoRights or BadInput."""
    preflight.places_free([place])
    listener = socket.socket(socket.AF_INET6 if place.family == 6 else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if place.family == 6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((place.address, place.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _problem(place, error) from None
    return listener


def _problem(place: Place, error: OSError) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return InTheWay(f"port {place} is taken by another process", "stop that, or --listen elsewhere")
    if error.errno in (errno.EACCES, errno.EPERM):
        return NoRights(f"port {place.port} is for root alone", "--listen 8080, or any other above 1023")
    reason = os.strerror(error.errno or 0)
    return BadInput(f"--listen: {place}: {reason}", "ip address lists the addresses of this machine")


def address(place: Place) -> str:
    """What a person types into a browser on this machine."""
    if place.address in (LOOPBACK, "0.0.0.0"):
        return f"http://localhost:{place.port}"
    return f"http://{'[::1]:' + str(place.port) if place.address == '::' else place}"
