"""Which of the signals that systemd sends are read."""

from __future__ import annotations

import socket

from wakeport.dbus.calls import SIGNAL, call
from wakeport.dbus.messages import Message
from wakeport.loop import Loop
from wakeport.runtimes.systemd.begin import PATH
from wakeport.runtimes.systemd.bus import Bus
from wakeport.runtimes.systemd.unit import object_path

OURS, OTHERS = object_path("app.service"), object_path("app.service2")


def signal_of(path: str, *words: str) -> bytes:
    made = bytearray(call(1, "", path, "an.interface", "Changed", words=words))
    made[1] = SIGNAL
    return bytes(made)


def test_signals_of_other_units_are_not_even_read() -> None:
    unreadable = signal_of(OTHERS, "word")[:-1] + b"x"  # a string without its end
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop = Loop()
        bus = Bus(loop, ours, b"OK 0123\r\n")
        heard: list[Message] = []

        def hear(message: Message) -> None:
            heard.append(message)
            if message.body == ["last"]:
                loop.stop()

        bus.on_signal.append(hear)
        bus.hear_of(PATH, OURS)
        theirs.sendall(signal_of(OURS, "first") + unreadable + signal_of(PATH, "last"))
        loop.run_forever()
        assert [(message.path, message.body) for message in heard] == [(OURS, ["first"]), (PATH, ["last"])]
        bus.close()
        loop.close()
