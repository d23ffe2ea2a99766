"""What is made of the journal's entries: wakes, time in each state, and what sleeping saved."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.cli.history import rows, totals
from wakeport.history import GIB, STATES, Boot, Entry, by_service, entry_of, matches, report
from wakeport.lease import ASLEEP, AWAKE, DOZING, FAILED, STOPPING, WAKING
from wakeport.supervisor.account import MESSAGE_ID

BEGAN = 1_700_000_000.0  # the first boot, seconds since 1970
HOUR = 3600.0
STAGES = {"called": 0.02, "running": 0.2, "ready": 0.25}
USED: dict[str, Any] = {"memory": GIB, "quiet": 100, "quiet_cpu": 1}


def raw(state: str, moment: float, boot: str = "a", began: float = BEGAN, **said: Any) -> dict[str, Any]:
    """An entry that was written at once, as journalctl prints it."""
    return {
        "_BOOT_ID": boot,
        "_UID": "0",
        "_SYSTEMD_UNIT": "wakeport-web-container.service",
        "__REALTIME_TIMESTAMP": f"{(began + moment) * 1e6:.0f}",
        "__MONOTONIC_TIMESTAMP": f"{moment * 1e6:.0f}",
        "MESSAGE_ID": MESSAGE_ID,
        "WAKEPORT_SERVICE": "web",
        "WAKEPORT_STATE": state,
        "WAKEPORT_AT": f"{began + moment:.4f}",
        **{f"WAKEPORT_{key.upper()}": str(value) for key, value in said.items()},
    }


def woken(moment: float, woken_from: str = ASLEEP, who: tuple[str, ...] = ("10.0.0.7:1",)) -> dict[str, Any]:
    said: dict[str, Any] = {"who": json.dumps(who), "from": woken_from, "stages": json.dumps(STAGES)}
    return raw(AWAKE, moment, **said)


def told(
    *written: dict[str, Any], until: float = 0, boots: list[Boot] | None = None, since: float = 0
) -> Any:
    return report("web", by_service(written, ["web"])["web"], boots or [Boot("a", BEGAN, until)], since)


A_DAY = [
    raw(WAKING, 1000),
    woken(1001),
    raw(STOPPING, 1301, **USED),
    raw(ASLEEP, 1302),
    raw(WAKING, 1302 + HOUR),
    woken(1303 + HOUR, who=("10.0.0.8:1", "10.0.0.9:1")),
]


def test_a_day_adds_up() -> None:
    found = told(*A_DAY, until=1400 + HOUR)
    assert found["seconds"] == {
        ASLEEP: HOUR,
        WAKING: 2,
        AWAKE: 397,
        DOZING: 0,
        STOPPING: 1,
        FAILED: 0,
    }
    assert found["saved"] == {"memory_gib_hours": 1.0, "cpu_hours": 0.01}
    assert found["since"] == BEGAN + 1000
    assert found["until"] == BEGAN + 1400 + HOUR
    assert found["wakes"] == [
        {"at": BEGAN + 1000.75, "who": ["10.0.0.7:1"], "from": ASLEEP, "seconds": 0.25, "stages": STAGES},
        {
            "at": BEGAN + 1302.75 + HOUR,
            "who": ["10.0.0.8:1", "10.0.0.9:1"],
            "from": ASLEEP,
            "seconds": 0.25,
            "stages": STAGES,
        },
    ]


def test_people_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wakeport.cli.history._when", lambda at: f"{at - BEGAN:.0f}")
    found = told(*A_DAY, raw(FAILED, 1300 + 2 * HOUR, reason="it broke"), until=1300 + 2 * HOUR)
    assert rows(found) == [
        [AWAKE, "1001", "woke in 250 ms", "for 10.0.0.7:1", "start call 20 ms, running 180 ms, ready 50 ms"],
        [
            AWAKE,
            "4903",
            "woke in 250 ms",
            "for 10.0.0.8:1 and others",
            "start call 20 ms, running 180 ms, ready 50 ms",
        ],
        [FAILED, "8500", "failed", "", "it broke"],
    ]
    assert totals(found) == [
        "since 1000: asleep 1 h, awake 1 h 4 min, waking 2.0 s, stopping 1.0 s",
        "saved: 1.0 GiB h of memory, 36 s of processor time",
    ]


def test_no_name_steers_the_terminal_that_it_is_shown_on() -> None:
    found = told(woken(0, who=("\x1b[2J\n",)), raw(FAILED, 1, reason="\x1b]0;x\x07"), until=1)
    assert [row[3:] for row in rows(found)] == [
        ["for ?[2J?", "start call 20 ms, running 180 ms, ready 50 ms"],
        ["", "?]0;x?"],
    ]


def test_only_from_then_on() -> None:
    found = told(*A_DAY, until=1400 + HOUR, since=BEGAN + 1302 + HOUR / 2)
    assert found["seconds"][ASLEEP] == HOUR / 2
    assert found["saved"]["memory_gib_hours"] == 0.5
    assert [wake["who"][0] for wake in found["wakes"]] == ["10.0.0.8:1"]
    assert found["since"] == BEGAN + 1302 + HOUR / 2


def test_what_was_not_measured_is_not_known() -> None:
    found = told(woken(0), raw(STOPPING, 10), raw(ASLEEP, 11), until=HOUR)
    assert found["saved"] == {"memory_gib_hours": None, "cpu_hours": None}
    assert totals(found)[1] == "saved: memory not known, processor time not known"


def test_an_end_that_nobody_could_measure_counts_as_the_one_before() -> None:
    """A container that ends by itself is gone before anybody can look."""
    found = told(
        *[woken(0), raw(STOPPING, 10, **USED), raw(ASLEEP, 10)],
        *[woken(10 + HOUR), raw(STOPPING, 11 + HOUR), raw(ASLEEP, 11 + HOUR)],
        until=11 + 2 * HOUR,
    )
    assert found["saved"]["memory_gib_hours"] == 2


def test_a_doze_saves_processor_time_and_what_memory_it_gave_back() -> None:
    dozing = [woken(0), raw(DOZING, 10, **USED)]
    assert told(*dozing, until=10 + HOUR)["saved"] == {"memory_gib_hours": 0, "cpu_hours": 0.01}
    freed = raw(DOZING, 10, memory_after=GIB // 4)
    assert told(*dozing, freed, until=10 + HOUR)["saved"] == {"memory_gib_hours": 0.75, "cpu_hours": 0.01}
    thawed = woken(10 + HOUR, woken_from=DOZING)
    found = told(*dozing, thawed, until=20 + HOUR)
    assert [wake["from"] for wake in found["wakes"]] == [ASLEEP, DOZING]
    assert found["seconds"][DOZING] == HOUR


def test_from_a_doze_into_sleep_it_saves_all_that_it_had_awake() -> None:
    found = told(
        *[woken(0), raw(DOZING, 10, **USED), raw(STOPPING, 20, memory=1), raw(ASLEEP, 20)], until=20 + HOUR
    )
    assert found["saved"]["memory_gib_hours"] == 1


def test_a_container_that_somebody_else_had_started_had_not_slept() -> None:
    found = told(
        *[woken(0), raw(STOPPING, 10, **USED), raw(ASLEEP, 10), raw(WAKING, 10 + HOUR)],
        woken(10 + HOUR, woken_from=AWAKE),
        until=20 + HOUR,
    )
    assert found["saved"] == {"memory_gib_hours": 0, "cpu_hours": 0}
    assert len(found["wakes"]) == 1


def test_a_supervisor_that_was_killed_leaves_no_gap() -> None:
    found = told(woken(0), raw(WAKING, 100), woken(101, woken_from=AWAKE), until=200)
    assert found["seconds"][AWAKE] == 199
    assert len(found["wakes"]) == 1


def test_a_machine_that_is_off_saves_nothing() -> None:
    """Also where a whole boot went by without a word of the service: it slept, and was not off."""
    boots = [
        Boot("a", BEGAN, HOUR),
        Boot("b", BEGAN + 10 * HOUR, HOUR),
        Boot("c", BEGAN + 20 * HOUR, 2 * HOUR),
    ]
    found = told(woken(0), raw(STOPPING, 0, **USED), raw(ASLEEP, 0), boots=boots)
    assert found["seconds"][ASLEEP] == 4 * HOUR
    assert found["saved"]["memory_gib_hours"] == 4
    found = told(woken(0), raw(STOPPING, 0, **USED), raw(ASLEEP, 0), boots=boots, since=BEGAN + 15 * HOUR)
    assert found["seconds"][ASLEEP] == 2 * HOUR


def test_power_that_fails_puts_it_to_sleep() -> None:
    boots = [Boot("a", BEGAN, HOUR), Boot("b", BEGAN + 10 * HOUR, HOUR)]
    found = told(woken(0), boots=boots)
    assert (found["seconds"][AWAKE], found["seconds"][ASLEEP]) == (HOUR, HOUR)


def test_a_boot_that_the_journal_does_not_list_counts_as_far_as_it_is_known() -> None:
    found = told(woken(0), raw(STOPPING, 50), boots=[Boot("b", BEGAN + HOUR, 7)])
    assert (found["seconds"][AWAKE], found["seconds"][ASLEEP]) == (50, 7)


def test_a_clock_that_is_set_back_makes_nothing_shorter() -> None:
    early = raw(STOPPING, 100, began=BEGAN - 5000, **USED)
    found = told(woken(0), early, raw(ASLEEP, 101, began=BEGAN - 5000), until=101 + HOUR)
    assert (found["seconds"][AWAKE], found["seconds"][ASLEEP]) == (100, HOUR)


def test_an_entry_that_was_written_late_counts_from_its_moment() -> None:
    late = {**woken(12), "WAKEPORT_AT": f"{BEGAN + 10}"}
    assert told(raw(WAKING, 9), late, until=20)["seconds"] == {
        **dict.fromkeys(STATES, 0),
        WAKING: 1,
        AWAKE: 10,
    }


@pytest.mark.parametrize(
    "foreign",
    [
        {"_UID": "1000"},
        {"_UID": None},
        {"_SYSTEMD_UNIT": "user@1000.service"},
        {"_SYSTEMD_UNIT": "wakeport-web.service"},
        {"WAKEPORT_SERVICE": "other"},
        {"WAKEPORT_SERVICE": ["web"]},
        {"MESSAGE_ID": "0" * 32},
        {"WAKEPORT_STATE": "sleeping"},
        {"WAKEPORT_STATE": ["awake"]},
        {"_BOOT_ID": None},
        {"__MONOTONIC_TIMESTAMP": "x"},
    ],
    ids=str,
)
def test_what_no_supervisor_of_it_wrote_is_not_believed(foreign: dict[str, Any]) -> None:
    assert by_service([{**woken(0), **foreign}], ["web", "db"]) == {"web": [], "db": []}


def test_journalctl_is_asked_for_nothing_else() -> None:
    assert matches(["web", "db"]) == [
        f"MESSAGE_ID={MESSAGE_ID}",
        "_UID=0",
        "_SYSTEMD_UNIT=wakeport-web-container.service",
        "_SYSTEMD_UNIT=wakeport-db-container.service",
    ]


def test_of_a_service_that_never_woke_nothing_is_told() -> None:
    found = told(until=100)
    assert found["since"] is None
    assert rows(found) == []
    assert totals(found) == ["the journal has nothing of it"]


JUNK = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.sampled_from(["nan", "inf", "-1", "1e999", "[" * 5000, "{}", "[1]", '{"ready": "x"}', "9" * 400]),
    st.lists(st.integers(0, 255), max_size=3),
)
KEYS = st.sampled_from([*raw(AWAKE, 0), *(f"WAKEPORT_{key}" for key in ("WHO", "FROM", "STAGES", "MEMORY"))])


@given(st.dictionaries(KEYS, JUNK))
def test_no_field_makes_it_fall_over(junk: dict[str, Any]) -> None:
    entry = entry_of({**woken(5), **junk}, "web")
    if entry is not None:
        found = report("web", [entry], [Boot("a", BEGAN, 10)], 0)
        json.dumps(found, allow_nan=False)
        rows(found)
        totals(found)


AMOUNT = st.none() | st.floats(0, 1e12)
ENTRIES = st.lists(
    st.builds(
        Entry,
        boot=st.sampled_from("abx"),
        moment=st.floats(0, 1e6),
        at=st.floats(0, 2e9),
        state=st.sampled_from(STATES),
        who=st.just(["10.0.0.7:1"]),
        woken_from=st.sampled_from([ASLEEP, DOZING, AWAKE, "None"]),
        stages=st.just(STAGES),
        memory=AMOUNT,
        cpu=st.none() | st.floats(0, 64),
        memory_after=AMOUNT,
        reason=st.just(""),
    ),
    max_size=12,
)
BOOTS = [Boot("a", 1e9, 1e6), Boot("b", 1e9 + 2e6, 1e6)]


@given(ENTRIES, st.floats(0, 2e9))
def test_no_time_is_negative_or_counted_twice(entries: list[Entry], since: float) -> None:
    everything, later = (report("web", entries, BOOTS, start)["seconds"] for start in (0.0, since))
    longest = sum(boot.seconds for boot in BOOTS) + max(
        (e.moment for e in entries if e.boot == "x"), default=0
    )
    assert sum(everything.values()) <= longest + 1
    for state in STATES:
        assert 0 <= later[state] <= everything[state] + 0.01


@given(ENTRIES, st.floats(0, 2e9))
def test_nothing_saved_is_negative_or_more_than_was_there_to_save(entries: list[Entry], since: float) -> None:
    found = report("web", entries, BOOTS, since)
    rest = found["seconds"][ASLEEP] + found["seconds"][DOZING]
    memory, cpu = found["saved"]["memory_gib_hours"], found["saved"]["cpu_hours"]
    most = max((entry.memory or 0 for entry in entries), default=0)
    if memory is not None:
        assert 0 <= memory <= (rest + 0.01) * most / GIB / HOUR * 1.001 + 1e-6
    if cpu is not None:
        assert 0 <= cpu <= (rest + 0.01) * 64 / HOUR * 1.001 + 1e-6
