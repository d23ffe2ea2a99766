"""Who may come at all, by the address that it connects from: everybody else is reset, and leaves no trace.

Whatever state the container is in. A PROXY header is read only later, so that behind a load balancer the
load balancer's own address counts. A service without `allow` imports none of this.
"""

from __future__ import annotations

from wakeport.proxy import leg
from wakeport.proxy.admission.networks import UNIX, Networks
from wakeport.proxy.door import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def allowed(sources: list[str]) -> Networks:
    """Those, and whoever comes to a Unix socket. Raises SystemExit where one makes no sense."""
    try:
        return Networks([*sources, UNIX])
    except ValueError as error:
        raise SystemExit(f"{error}; `systemctl cat` shows the unit that says so") from None


def none_but(
    sources: Networks, come_in: Callable[[Client], None], left: Callable[[], None]
) -> Callable[[Client], None]:
    """What gets each client from the door: `come_in` gets who may, and `left` is called for who may not.

    Who may not is no reason to stay: a crowd of them keeps neither a lease nor this process.
    """

    def admit(client: Client) -> None:
        if sources.cover(client.address):
            come_in(client)
            return
        leg.refuse_to_linger(client.sock)
        client.sock.close()  # at once: nobody has watched it, so no event of this turn can be meant for it
        left()

    return admit
