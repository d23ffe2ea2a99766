"""From the door to the waiting room, for listeners that ask more of a client than to come.

First whoever is in front of us introduces it, then it shows that it may wake the container. A service
none of whose listeners asks for either has no entrance, and imports none of this.
"""

from __future__ import annotations

from wakeport.loop import Loop
from wakeport.proxy.admission.introductions import Introductions
from wakeport.proxy.admission.networks import Networks
from wakeport.proxy.admission.rules import RuleError, Rules
from wakeport.proxy.admission.threshold import Threshold
from wakeport.proxy.door import Client
from wakeport.proxy.options import Listener
from wakeport.proxy.refusal import Refusals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Entrance:
    """`is_awake` says whether the container is, so that nobody is judged; `come_in` gets who may come in,
    `gone` who left or was sent away before. Raises SystemExit where a rule makes no sense.
    """

    def __init__(
        self,
        loop: Loop,
        listeners: list[Listener],
        refusals: Refusals,
        is_awake: Callable[[], bool],
        come_in: Callable[[Client], None],
        gone: Callable[[Client], None],
    ) -> None:
        self.come_in = come_in
        try:
            trusted = {
                index: Networks(listener.accept_proxy)
                for index, listener in enumerate(listeners)
                if listener.accept_proxy
            }
            rules = {
                index: Rules(listener.rules, listener.wake_on)
                for index, listener in enumerate(listeners)
                if listener.judges
            }
        except (RuleError, ValueError) as error:
            raise SystemExit(f"{error}; `systemctl cat` shows the unit that says so") from None
        self.introductions = Introductions(loop, trusted, self.meet, gone)
        self.threshold = Threshold(loop, rules, refusals, is_awake, come_in, gone)

    @property
    def is_empty(self) -> bool:
        return not self.introductions and not self.threshold

    def admit(self, client: Client) -> None:
        if client.listener in self.introductions.trusted:
            self.introductions.read(client)
        else:
            self.meet(client)

    def meet(self, client: Client) -> None:
        """Its address is known now."""
        if client.listener in self.threshold.rules:
            self.threshold.add(client)
        else:
            self.come_in(client)

    def open(self) -> None:
        """The container is awake: whoever is still being judged may pass."""
        for client in self.threshold.empty():
            self.come_in(client)
