"""`scripts/bench try`: a cold first byte through `wakeport try` beside a bare start, in turns.

Needs neither a lab nor root: the program is Python's own web server, started by whoever calls this.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from rich.console import Console

from bench import figures, tables
from bench.visit import ASK_AND_CLOSE, PATIENCE, RETRY_AFTER
from wakeport.foreground.program import filled, free_port
from wakeport.runtimes.network import LOOPBACK

ROUNDS: Final = 9
PROGRAM: Final = [sys.executable, "-m", "http.server", "--bind", LOOPBACK, "{port}"]
LABELS: Final = {"bare": "bare start of the program", "try": "wakeport try"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench try", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args(arguments)
    console = Console(width=200)
    seconds: dict[str, list[float | None]] = {name: [] for name in LABELS}
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(folder)
        try:
            trial.first_byte()  # as the first round of anything compiles and reads from the disk
            for _ in range(given.rounds):
                seconds["bare"].append(bare(folder))
                seconds["try"].append(trial.first_byte())
        finally:
            trial.end()
    console.print(f"{given.rounds} rounds, {os.cpu_count()} cores, {' '.join(PROGRAM[1:])}")
    console.print(tables.cold(figures.summary(seconds, "bare"), LABELS))


def bare(folder: str) -> float:
    """From the start of the program to the first byte, for a client who connects until somebody listens."""
    port = free_port()
    began = time.monotonic()
    command = [filled(word, port) for word in PROGRAM]
    program = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                return ask(port) - began
            except ConnectionRefusedError:
                time.sleep(RETRY_AFTER)
    finally:
        program.kill()
        program.wait()


def ask(port: int) -> float:
    """When the first byte came (monotonic)."""
    with socket.create_connection((LOOPBACK, port), PATIENCE) as client:
        client.sendall(ASK_AND_CLOSE)
        client.recv(1)
        came = time.monotonic()
        while client.recv(65536):
            pass
    return came


class Trial:
    """One `wakeport try`, asleep before each round."""

    def __init__(self, folder: str) -> None:
        self.port = free_port()
        command = [str(Path(sys.executable).with_name("wakeport")), "try", "--listen", str(self.port)]
        self.command = subprocess.Popen(
            [*command, "--idle", "100ms", "--", *PROGRAM],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.command.stdout is not None
        self.said: IO[bytes] = self.command.stdout
        self._hear(b"no process is behind it")

    def first_byte(self) -> float:
        began = time.monotonic()
        seconds = ask(self.port) - began
        self._hear(b"asleep: ")
        return seconds

    def end(self) -> None:
        self.command.send_signal(signal.SIGINT)
        self.command.communicate()

    def _hear(self, text: bytes) -> None:
        for line in self.said:
            if text in line:
                return
        raise RuntimeError("wakeport try has ended; run it by hand to see why")


if __name__ == "__main__":
    main()
