"""The pure parts of `wakeport try`: what is started, with which words, and what is said of it."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from wakeport import service
from wakeport.errors import BadInput, InTheWay, NoRights, NotThere, OutOfReach
from wakeport.foreground import directory, door, family, program, words
from wakeport.foreground.directory import Folder
from wakeport.foreground.entries import parsed, said
from wakeport.foreground.lines import for_program
from wakeport.place import Place
from wakeport.proxy.options import Options as ProxyOptions
from wakeport.runtimes.process import begin as process
from wakeport.service import Service
from wakeport.span import Span
from wakeport.supervisor.journal import datagram
from wakeport.supervisor.options import Options

NEVER, TEN = Span(float("inf")), Span(10)
FOLDER = Folder(Path("/tmp/wakeport-try-x"))


def tried(**settings: object) -> Service:
    listener = [{"on": "127.0.0.1:8080", "to": 21000}]
    return service.build("python3", {"idle": "10s", **settings, "listener": listener})


def test_an_entry_is_read_as_the_supervisor_writes_it() -> None:
    fields = {"MESSAGE": "web failed", "WAKEPORT_REASON": "two\nlines = and more", "PRIORITY": "4"}
    assert parsed(datagram(fields)) == fields


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"WAKEPORT_STATE": "waking"}, "waking: the program is started"),
        ({"WAKEPORT_STATE": "stopping"}, "stopping: the program is ended"),
        (
            {"WAKEPORT_STATE": "dozing"},
            "dozing: frozen where it stands; the next client thaws it; it sleeps 10s after its last client",
        ),
        ({"WAKEPORT_STATE": "dozing", "WAKEPORT_MEMORY_AFTER": "1"}, None),
        ({"WAKEPORT_STATE": "failed", "WAKEPORT_REASON": "no"}, None),
        ({"WAKEPORT_STATE": "asleep"}, None),
        ({}, None),
    ],
)
def test_what_is_said_of_a_state(fields: dict[str, str], line: str | None) -> None:
    assert said(fields, TEN, NEVER) == line


def test_what_is_said_of_a_wake() -> None:
    fields = {
        "WAKEPORT_STATE": "awake",
        "WAKEPORT_STAGES": json.dumps({"called": 0.01, "running": 0.02, "ready": 0.184}),
        "WAKEPORT_WHO": json.dumps(["127.0.0.1:40001", "127.0.0.1:40002"]),
    }
    who = "awake after 184 ms, woken by 127.0.0.1:40001 and 1 more"
    assert said(fields, TEN, NEVER) == f"{who}; it sleeps 10s after its last client"
    assert said(fields, TEN, Span(2)) == f"{who}; it dozes 2s after its last client"
    assert said(fields, NEVER, NEVER) == who
    assert said({"WAKEPORT_STATE": "awake"}, NEVER, NEVER) == "awake"


def test_the_supervisor_understands_its_words() -> None:
    command = words.supervisor(tried(doze="2s", ready="http:/up"), FOLDER)
    assert command[:2] == [sys.executable, "-ISc"]
    keys = [word.partition("=")[0] for word in command[4:]]
    assert len(keys) == len(set(keys))
    options = Options(command[4:])
    assert options.runtime == "process"
    assert options.container == "/tmp/wakeport-try-x/words"
    assert options.state == "/tmp/wakeport-try-x/state"
    assert options.journal == "/tmp/wakeport-try-x/journal"
    assert (options.doze, options.idle, options.ready) == (2.0, 10.0, "http:/up")
    assert options.ports == ["21000/tcp"]


def test_a_unit_s_supervisor_writes_to_the_journal_of_the_machine() -> None:
    assert (
        Options([word for word in words.supervisor(tried(), FOLDER)[4:] if "journal" not in word]).journal
        == ""
    )


def test_the_proxy_understands_its_words() -> None:
    options = ProxyOptions(words.proxy(tried(doze="2s"), FOLDER)[4:])
    assert options.lease == "/tmp/wakeport-try-x/program.lease"
    assert options.doze
    assert [one.target for one in options.listeners] == ["21000/tcp"]


def test_the_words_of_the_program_reach_it_unchanged() -> None:
    awkward = ["/bin/prog", "-c", "echo '$HOME' ; rm", "", "two\nlines", "\udcff"]
    with directory.made(awkward) as folder:
        assert process._read(str(folder.words)) == [os.fsencode(word) for word in awkward]
        assert folder.path.stat().st_mode & 0o777 == 0o700
    assert not folder.path.exists()


def test_a_temporary_directory_too_long_for_a_socket_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with directory.made(["x"]) as folder:
        assert folder.path.parent == Path("/tmp")


def test_without_a_temporary_directory_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(OutOfReach) as caught, directory.made(["x"]):
        pass
    assert "TMPDIR=" in caught.value.hint


def test_a_program_is_found_before_anything_is_opened() -> None:
    assert program.resolved(["sh", "{port}"]).startswith("/")
    with pytest.raises(NotThere):
        program.resolved(["no-such-program", "{port}"])
    with pytest.raises(BadInput) as caught:
        program.resolved(["sh", "8000"])
    assert "env PORT={port} sh" in caught.value.hint


def test_the_port_is_outside_the_range_of_those_who_connect(tmp_path: Path) -> None:
    lowest = int(program.RANGE.read_text().split()[0])
    assert program.LOWEST <= program.free_port() < max(lowest, program.LOWEST + 1)
    everything = tmp_path / "range"
    everything.write_text("1024\t65535\n")
    assert program.free_port(everything) > 1023


def test_every_port_in_the_words_is_filled_in() -> None:
    assert program.filled("{port}:{port}", 80) == "80:80"


@pytest.mark.parametrize(
    ("text", "place", "address"),
    [
        ("8080", "127.0.0.1:8080", "http://localhost:8080"),
        ("0.0.0.0:81", "0.0.0.0:81", "http://localhost:81"),
        ("[::1]:82", "[::1]:82", "http://[::1]:82"),
        ("[::]:83", "[::]:83", "http://[::1]:83"),
        ("10.0.0.7:84", "10.0.0.7:84", "http://10.0.0.7:84"),
    ],
)
def test_a_port_alone_is_for_this_machine(text: str, place: str, address: str) -> None:
    found = door.place_of(text)
    assert str(found) == place
    assert door.address(found) == address


@pytest.mark.parametrize("text", ["53/udp", "/run/x.sock", "http"])
def test_only_a_tcp_port_can_be_tried(text: str) -> None:
    with pytest.raises(BadInput):
        door.place_of(text)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EADDRINUSE, InTheWay), (errno.EACCES, NoRights), (errno.EADDRNOTAVAIL, BadInput)],
)
def test_why_a_port_cannot_be_held(number: int, kind: type[Exception]) -> None:
    assert isinstance(door._problem(Place(port=80, address="127.0.0.1"), OSError(number, "")), kind)


def test_the_supervisor_s_words_fit_a_program() -> None:
    assert for_program("waits for the container to answer") == "waits for the program to answer"
    assert for_program("the runtime to start it") == "its start"


def test_children_are_found_whatever_they_are_called(tmp_path: Path) -> None:
    for pid, stat in {
        "7": f"7 (a) b) S {os.getpid()} 7",
        "8": "8 (x) S 1 8",
        "9": f"9 (y) Z {os.getpid()} 9",
    }.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "stat").write_text(stat)
    (tmp_path / "10").mkdir()  # has gone
    (tmp_path / "self").mkdir()
    assert sorted(family.children(tmp_path)) == [7, 9]
