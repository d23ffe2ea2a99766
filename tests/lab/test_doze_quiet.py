"""What a dozing container uses, and what it keeps: no processor time, every session."""

from __future__ import annotations

import subprocess
import time

import pytest

from lab import Lab
from tests.lab import clients
from tests.lab.rounds import rounds
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

WATCHED = rounds(4, full=60)  # seconds
SESSION = rounds(3, full=3600)  # seconds

READY = "exec:pg_isready --quiet --host=127.0.0.1"
AS_USUAL = {"PGHOST": "127.0.0.1", "PGUSER": "postgres", "PGPASSWORD": "lab"}
PSQL = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")

# A session counts for as long as enough passes over it; a silent one is let doze, and never cut.
SESSIONS_MAY_DOZE = '[busy]\nconnections = "100 in 1s"\nsilent = "doze"'


@pytest.fixture(scope="module")
def postgres(shared_lab: Lab) -> str:
    shared_lab.load("postgres")
    return "postgres"


@pytest.fixture
def store(service: AddService, postgres: str) -> Service:
    create = ["--stop-signal=INT"]
    store = service(
        *("store", f"--ready={READY}", "--doze=500ms"),
        listen=5432,
        to=5432,
        image=postgres,
        idle="1h",
        create=create,
    )
    store.settings(SESSIONS_MAY_DOZE)
    return store


def uses_nothing(web: Service) -> None:
    """Neither its container nor our two processes, from the moment in which it is frozen."""
    web.freezes()
    eventually("its memory is pushed out", lambda: web.status["memory"])
    used, ours = web.processor_time, web.processes
    ticks = [web.ticks(pid) for pid in ours]
    began = time.monotonic()
    while time.monotonic() - began < WATCHED:
        assert web.status["state"] == "dozing"
        time.sleep(0.2)
    # A timer that is due wakes a frozen task for as long as it takes to freeze it again: 25 us in a minute
    # of PostgreSQL's (measured).
    assert web.processor_time - used < 1000
    assert web.processes == ours
    # A sweep of the proxy for peers that have vanished, once in 30 s, may be one of these 10 ms.
    assert all(web.ticks(pid) - before <= 1 for pid, before in zip(ours, ticks, strict=True))


def test_a_dozing_nginx_uses_no_processor(service: AddService) -> None:
    web = service("web", "--doze=300ms", idle="1h")
    assert web.get().served
    uses_nothing(web)
    assert web.get().served


def test_a_dozing_postgres_uses_none_and_its_sessions_outlive_it(store: Service) -> None:
    with (
        store.lab.popen(PSQL, stdin=subprocess.PIPE, env=AS_USUAL) as first,
        store.lab.popen(PSQL, stdin=subprocess.PIPE, env=AS_USUAL) as second,
    ):
        for number, session in enumerate((first, second)):
            assert ask(session, "CREATE TEMPORARY TABLE mine (number int); SELECT 42;") == "42"
            assert ask(session, f"INSERT INTO mine VALUES ({number}); SELECT 43;") == "43"
        uses_nothing(store)
        began = time.monotonic()
        while time.monotonic() - began < SESSION:
            assert store.status["state"] == "dozing"
            time.sleep(1)
        for number, session in enumerate((first, second)):
            assert ask(session, "SELECT number FROM mine;") == str(number)
            store.freezes()
        # A transaction outlives it as well.
        assert ask(first, "BEGIN; UPDATE mine SET number = 7; SELECT 44;") == "44"
        store.freezes()
        assert ask(first, "COMMIT; SELECT number FROM mine;") == "7"
        for session in (first, second):
            assert session.stdin is not None
            session.stdin.close()
            assert session.wait(60) == 0


def test_a_silent_http_connection_is_answered_after_a_doze(service: AddService) -> None:
    web = service("web", "--doze=300ms", idle="1h")
    web.settings(SESSIONS_MAY_DOZE)
    with clients.connect(web.lab) as kept:
        for _ in range(3):
            assert clients.ask(kept)
            web.freezes()


def ask(session: subprocess.Popen[str], query: str) -> str:
    assert session.stdin is not None
    assert session.stdout is not None
    session.stdin.write(query + "\n")
    session.stdin.flush()
    return session.stdout.readline().strip()
