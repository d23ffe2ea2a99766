"""The machine that is changed: where its files are, and the doors to what else there is to change."""

from __future__ import annotations

import time
from pathlib import Path

from wakeport import ports, programs
from wakeport.errors import Problem
from wakeport.install import copy, files
from wakeport.install.account import Account, account_of
from wakeport.layout import Layout
from wakeport.network_programs import Nftables
from wakeport.place import Place
from wakeport.systemd import Systemd
from wakeport.unit_file import PYTHON

LISTENS_WITHIN = 2.0  # seconds; systemd answers `start` when it has called listen(2)


class Host:
    """Tests put another root, and doors that only note what passes through them."""

    def __init__(
        self,
        layout: Layout | None = None,
        systemd: Systemd | None = None,
        account: Account | None = None,
        nftables: Nftables | None = None,
    ) -> None:
        self.layout = layout or Layout()
        self.systemd = systemd or Systemd(self.layout.scope)
        self.account = account or account_of(self.layout.scope)
        self.nftables = nftables or Nftables()

    def provide(self) -> Path | None:
        """Make the user and the programs stand; the copy of the programs, where it is new."""
        self.account.ensure()
        return copy.ensure(self.layout, programs.collect(), PYTHON)

    def clean(self) -> None:
        """Remove what no unit needs any more: old programs, and behind the last service all that we made."""
        texts = [path.read_text(errors="replace") for path in self.layout.unit_files()]
        named = "".join(texts)
        copy.remove_unused(self.layout, lambda one: f"{one}/" in named or self.runs(one))
        if not texts and not self.layout.services():
            self.account.remove()
            for directory in self.layout.may_be_left():
                files.remove_empty(directory)

    def runs(self, directory: str) -> bool:
        return copy.runs(directory)

    def listening(self) -> list[Place]:
        return [held.place for held in ports.listening()]

    def verify(self, places: list[Place]) -> None:
        """Raise Problem unless the kernel listens at all `places`.

        The unit's own state would lie, and a connect would wake.
        """
        until = time.monotonic() + LISTENS_WITHIN
        while missing := self._silent(places):
            if time.monotonic() > until:
                raise Problem(
                    f"nothing listens on {', '.join(map(str, missing))}, though its socket unit was started",
                    "journalctl -xe tells more",
                )
            time.sleep(0.05)

    def _silent(self, places: list[Place]) -> list[Place]:
        held = self.listening()
        return [place for place in places if not any(place.overlaps(one) for one in held)]
