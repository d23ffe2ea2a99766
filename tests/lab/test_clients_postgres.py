"""psql and pgbench: a password to be asked for, rows to be counted, twenty clients that connect anew."""

from __future__ import annotations

import random

import pytest

from lab import Lab
from tests.lab.rounds import rounds
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

# PostgreSQL accepts connections before it has looked at its data, and answers "the database system is
# starting up" until then.
READY = "exec:pg_isready --quiet --host=127.0.0.1"

CLIENTS = 20
TRANSACTIONS = rounds(5, full=200)  # of each client, each on a connection of its own
ROWS = rounds(20_000, full=1_000_000)
QUIET = rounds(2, full=180)  # seconds within a query, or between two

PSQL = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align")
AS_USUAL = {"PGHOST": "127.0.0.1", "PGUSER": "postgres", "PGPASSWORD": "lab"}


@pytest.fixture(scope="module")
def image(shared_lab: Lab) -> str:
    shared_lab.load("postgres")
    return "postgres"


@pytest.fixture
def store(service: AddService, image: str) -> Service:
    create = ["--stop-signal=INT"]  # as the registry's image has it: an end that waits for no client
    return service("store", f"--ready={READY}", listen=5432, to=5432, image=image, idle="1s", create=create)


def run(store: Service, *words: str, text: str | None = None) -> str:
    """What a client program prints."""
    return store.lab.run(words, input=text, env=AS_USUAL, timeout=600).stdout.rstrip("\n")


def sql(store: Service, query: str, text: str | None = None) -> str:
    """What a psql answers that connects for this one query, with its own defaults."""
    return run(store, *PSQL, "-c", query, text=text)


def test_the_first_query_wakes_and_what_was_stored_outlives_the_sleep(store: Service) -> None:
    """The first wake of all has to make the database, too."""
    values = random.Random(5432)
    rows = "\n".join(f"{number}\t{values.randbytes(40).hex()}" for number in range(ROWS))
    assert store.is_asleep
    assert sql(store, "SELECT 6 * 7") == "42"
    sql(store, "CREATE TABLE many (number int PRIMARY KEY, value text)")
    sql(store, "COPY many FROM STDIN", text=rows)
    for _ in range(2):
        store.falls_asleep()
        for _ in range(2):
            assert sql(store, "SELECT count(*) FROM many") == str(ROWS)
        copied = sql(store, "COPY (SELECT * FROM many ORDER BY number) TO STDOUT")
        assert copied == rows, "the rows differ"
    store.falls_asleep()


@pytest.mark.parametrize("anew", [True, False], ids=["a connection for each transaction", "kept open"])
def test_twenty_first_clients_of_pgbench_and_every_transaction_counts(store: Service, anew: bool) -> None:
    run(store, "pgbench", "--initialize", "--quiet", "postgres")
    store.falls_asleep()
    total = CLIENTS * TRANSACTIONS
    for before in (0, total):
        # Without --no-vacuum its first connection, and the first of all, would be one that cleans up.
        asked = [f"--client={CLIENTS}", f"--transactions={TRANSACTIONS}", *["--connect"] * anew]
        report = run(store, "pgbench", "--no-vacuum", *asked, "postgres")
        assert f"number of transactions actually processed: {total}/{total}" in report
        assert "number of failed transactions: 0 (" in report
        assert sql(store, "SELECT count(*) FROM pgbench_history") == str(before + total)
    balances = {
        sql(store, f"SELECT sum({table[0]}balance) FROM pgbench_{table}")
        for table in ("accounts", "branches", "tellers")
    }
    assert balances == {sql(store, "SELECT sum(delta) FROM pgbench_history")}
    store.falls_asleep()


def test_a_quiet_session_keeps_it_awake(store: Service) -> None:
    """In a query that sends nothing for longer than `idle`, as the first client, and then between two."""
    assert sql(store, f"SELECT 'done' FROM pg_sleep({QUIET})") == "done"
    ask = "SELECT pg_backend_pid();\n"
    before, after = run(store, *PSQL, text=f"{ask}\\! sleep {QUIET}\n{ask}").split()
    assert before == after
    store.falls_asleep()


def test_interrupted_query_is_cancelled(store: Service) -> None:
    """psql sends the cancel over a second connection, which ends without an answer."""
    running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'"
    with store.lab.popen([*PSQL, "-c", "SELECT pg_sleep(600)"], env=AS_USUAL) as interrupted:
        eventually("the query runs", lambda: sql(store, running) == "1")
        store.lab.run(["pkill", "--signal=INT", "--exact", "psql"])
        assert "canceling statement due to user request" in interrupted.communicate(timeout=60)[1]
    store.falls_asleep()


def test_the_first_client_after_a_crash_waits_for_the_recovery(store: Service) -> None:
    sql(store, "CREATE TABLE kept AS SELECT generate_series(1, 200000) AS number")
    store.lab.docker("kill", store.container)
    store.falls_asleep()
    assert sql(store, "SELECT sum(number) FROM kept") == str(200_000 * 200_001 // 2)
    assert "automatic recovery in progress" in store.lab.run(["docker", "logs", store.container]).stderr
