"""The parts of the proxy that only some services need. For all others nothing of them is imported."""

from __future__ import annotations

from wakeport.lease import AWAKE, DOZING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wakeport.proxy.admission.entrance import Entrance
    from wakeport.proxy.admission.networks import Networks
    from wakeport.proxy.door import Client
    from wakeport.proxy.page.pages import Pages
    from wakeport.proxy.proxy import Proxy
    from wakeport.proxy.traffic import Traffic


def is_awake(proxy: Proxy) -> bool:
    """Whether the container is, by the supervisor's last word to us, or the one to everybody."""
    from wakeport.proxy.admission.state_file import says_awake

    return says_awake(proxy.given.status) if proxy.lease.state is None else proxy.lease.state == AWAKE


def allowed_of(proxy: Proxy) -> Networks | None:
    """From where clients may come; None: from everywhere. Raises SystemExit where it makes no sense."""
    if not proxy.given.allow:
        return None
    from wakeport.proxy.admission.allowed import allowed

    return allowed(proxy.given.allow)


def way_in(proxy: Proxy) -> Callable[[Client], None]:
    """What the door does with each client."""
    come_in = proxy.admit if proxy.entrance is None else proxy.receive
    if proxy.allowed is None:
        return come_in
    from wakeport.proxy.admission.allowed import none_but

    return none_but(proxy.allowed, come_in, lambda: proxy.door.left())


def entrance_of(proxy: Proxy) -> Entrance | None:
    """None where no listener asks anything of its clients but to come.

    Raises SystemExit where a listener's rules make no sense.
    """
    given = proxy.given
    if not any(listener.accept_proxy or listener.judges for listener in given.listeners):
        return None
    from wakeport.proxy.admission.entrance import Entrance

    return Entrance(
        loop=proxy.loop,
        listeners=given.listeners,
        refusals=proxy.refusals,
        is_awake=lambda: is_awake(proxy),
        come_in=proxy.admit,
        gone=proxy.on_refused,
    )


def pages_of(proxy: Proxy) -> Pages | None:
    """None where no listener shows a waiting page."""
    given = proxy.given
    if all(listener.page is None for listener in given.listeners):
        return None
    from wakeport.proxy.page.pages import Pages

    def waiting() -> bool | None:
        """For the container; None where the supervisor has yet to say whether it is awake."""
        if proxy.targets is not None or proxy.leaving:
            return False
        # From a doze it is back before a page would be read.
        return None if proxy.lease.state in (None, DOZING) else True

    pages = Pages(
        loop=proxy.loop,
        service=given.name,
        listeners=given.listeners,
        room=proxy.room,
        waiting=waiting,
        gone=proxy.on_client_gone,
    )
    proxy.refusals.page = pages.refusal
    return pages


def traffic_of(proxy: Proxy) -> Traffic | None:
    """None where every open connection counts."""
    if proxy.given.counts is None:
        return None
    from wakeport.proxy.traffic import Traffic

    least, window = proxy.given.counts
    return Traffic(proxy.loop, proxy.served, proxy.lease, least, window, proxy.given.silent == "doze")
