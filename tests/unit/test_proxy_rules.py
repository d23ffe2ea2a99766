"""Verdicts: the first rule that fits, and no later than when nothing can change it."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_proxy_client_hello import HELLO, hello
from wakeport.proxy.admission.rules import CLOSE, RESET, WAKE, RuleError, Rules, like

HERE = ("10.0.0.7", 51234)
THERE = ("192.0.2.1", 51234)

PROBE = b"GET /healthz HTTP/1.1\r\nHost: web.example\r\nUser-Agent: Prober/2\r\n\r\n"
VISIT = b"GET /shop HTTP/1.1\r\nHost: web.example\r\nUser-Agent: Mozilla/5.0\r\n\r\n"


def rules(*tables: dict[str, Any], wake_on: str = "connect") -> Rules:
    return Rules(list(tables), wake_on)


def decided_after(judge: Rules, data: bytes, address: object = HERE) -> tuple[int, str | None]:
    """After how many bytes the verdict is given, and which."""
    for length in range(len(data) + 1):
        verdict = judge.verdict(address, data[:length], False)
        if verdict is not None:
            return length, verdict
    return len(data), None


def test_without_rules_a_connection_wakes_and_with_wake_on_data_its_first_byte() -> None:
    assert rules().verdict(HERE, b"", False) == WAKE
    data = rules(wake_on="data")
    assert data.verdict(HERE, b"", False) is None
    assert data.verdict(HERE, b"", True) == CLOSE
    assert data.verdict(HERE, b"\0", False) == WAKE


def test_a_source_is_judged_without_a_byte() -> None:
    judge = rules({"from": ["10.0.0.0/8"], "then": RESET})
    assert judge.verdict(HERE, b"", False) == RESET
    assert judge.verdict(("::ffff:10.0.0.7", 1, 0, 0), b"", False) == RESET
    assert judge.verdict(THERE, b"", False) == WAKE
    assert judge.verdict(THERE, b"", True) == WAKE
    assert judge.verdict("", b"", False) == WAKE


def test_a_source_that_may_wake_must_send_a_byte_where_data_is_what_wakes() -> None:
    judge = rules({"from": ["10.0.0.0/8"], "then": WAKE}, {"then": CLOSE}, wake_on="data")
    assert judge.verdict(HERE, b"", False) is None
    assert judge.verdict(HERE, b"x", False) == WAKE
    assert judge.verdict(THERE, b"", False) == CLOSE


def test_a_path_is_judged_at_the_end_of_its_line() -> None:
    judge = rules({"path": ["/healthz"], "then": "200 asleep"})
    assert decided_after(judge, PROBE) == (PROBE.index(b"\n") + 1, "200 asleep")
    assert decided_after(judge, VISIT) == (VISIT.index(b"\n") + 1, WAKE)
    assert decided_after(judge, b"\x16\x03\x01") == (1, WAKE)
    assert judge.verdict(HERE, b"", True) == CLOSE


def test_all_conditions_must_hold_and_any_pattern_of_each() -> None:
    judge = rules({"path": ["/healthz", "/live"], "user_agent": ["prober/*", "kube-probe*"], "then": CLOSE})
    assert decided_after(judge, PROBE)[1] == CLOSE
    assert decided_after(judge, PROBE.replace(b"Prober", b"Curl"))[1] == WAKE
    assert decided_after(judge, PROBE.replace(b"/healthz", b"/live"))[1] == CLOSE
    # One condition that fails is enough: the agent is not waited for.
    assert decided_after(judge, VISIT)[0] == VISIT.index(b"\n") + 1


def test_the_first_rule_that_fits_decides() -> None:
    allow = {"server_name": ["example.org", "*.example.org"], "then": WAKE}
    judge = rules(allow, {"then": RESET})
    assert judge.verdict(HERE, HELLO, False) == WAKE
    assert judge.verdict(HERE, hello("a.b.EXAMPLE.org"), False) == WAKE
    assert judge.verdict(HERE, hello("example.com"), False) == RESET
    assert judge.verdict(HERE, hello(None), False) == RESET
    assert judge.verdict(HERE, PROBE, False) == RESET
    assert decided_after(judge, HELLO) == (len(HELLO), WAKE)


def test_a_host_is_compared_without_its_port_and_in_any_case() -> None:
    judge = rules({"host": ["Web.Example"], "then": WAKE}, {"then": "404 nobody here"})
    assert decided_after(judge, PROBE)[1] == WAKE
    assert decided_after(judge, PROBE.replace(b"web.example", b"WEB.example.:80"))[1] == WAKE
    assert decided_after(judge, PROBE.replace(b"web.example", b"198.51.100.1"))[1] == "404 nobody here"
    assert decided_after(judge, b"GET / HTTP/1.0\r\n\r\n")[1] == "404 nobody here"


def test_a_path_is_compared_as_it_is_written() -> None:
    judge = rules({"path": ["/Health*"], "then": CLOSE})
    assert decided_after(judge, PROBE)[1] == WAKE
    assert decided_after(judge, PROBE.replace(b"/healthz", b"/Healthz/x?y=/"))[1] == CLOSE


def test_who_does_not_speak_http_gets_no_status() -> None:
    judge = rules({"then": "200 asleep"})
    assert judge.verdict(HERE, b"", False) is None
    assert judge.verdict(HERE, b"", True) == CLOSE
    assert judge.verdict(HERE, HELLO[:1], False) == CLOSE
    assert judge.verdict(HERE, b"GET /", False) is None
    assert judge.verdict(HERE, b"GET /", True) == CLOSE
    assert judge.verdict(HERE, PROBE, False) == "200 asleep"


def test_what_cannot_change_the_outcome_is_not_waited_for() -> None:
    judge = rules({"path": ["/a"], "then": CLOSE}, {"host": ["b"], "then": CLOSE}, {"then": CLOSE})
    assert judge.verdict(HERE, b"", False) == CLOSE


def test_who_ended_in_the_middle_is_judged_by_what_came() -> None:
    judge = rules({"path": ["/healthz"], "then": CLOSE}, {"server_name": ["*"], "then": RESET})
    assert judge.verdict(HERE, b"GET /heal", True) == WAKE
    assert judge.verdict(HERE, HELLO[:50], True) == WAKE
    assert judge.verdict(HERE, HELLO, True) == RESET


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"then": "sleep"},
        {"then": "199 x"},
        {"then": "600 x"},
        {"then": 200},
        {"then": "²00 x"},
        {"then": WAKE, "path": "/x"},
        {"then": WAKE, "path": [1]},
        {"then": WAKE, "form": ["10.0.0.1"]},
        {"then": WAKE, "from": ["10.0.0.300"]},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(RuleError):
        rules(table)


@given(st.text("ab*", max_size=12), st.text("ab", max_size=20))
def test_patterns_are_those_of_shells_as_far_as_stars_go(pattern: str, text: str) -> None:
    assert like(text, pattern) == bool(re.fullmatch(fnmatch.translate(pattern), text))


def test_only_a_star_means_something() -> None:
    assert like("[::1]", "[::1]")
    assert not like("a", "?")
    assert not like("a", "[ab]")


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    assert not like("a" * 16_384, "*" + "a*" * 200 + "b*")


TABLES = st.fixed_dictionaries(
    {"then": st.sampled_from([WAKE, CLOSE, RESET, "200 asleep"])},
    optional={
        "from": st.just(["10.0.0.0/8"]),
        "server_name": st.just(["*.org"]),
        "host": st.just(["web*"]),
        "path": st.just(["/h*"]),
        "user_agent": st.just(["prober*"]),
    },
)
SPOKEN = st.one_of(
    st.binary(max_size=100),
    st.builds(
        lambda start, more: start + more, st.sampled_from([PROBE, VISIT, HELLO]), st.binary(max_size=20)
    ),
    st.builds(
        lambda start, at, more: start[:at] + more,
        st.sampled_from([PROBE, VISIT, HELLO]),
        st.integers(0, 200),
        st.binary(max_size=50),
    ),
)


@given(
    st.lists(TABLES, max_size=4),
    st.sampled_from(["connect", "data"]),
    st.sampled_from([HERE, THERE, ""]),
    SPOKEN,
    st.integers(0, 600),
    st.booleans(),
)
def test_a_verdict_is_final_and_at_the_end_there_is_one(
    tables: list[dict[str, Any]], wake_on: str, address: object, data: bytes, cut: int, ended: bool
) -> None:
    judge = Rules(tables, wake_on)
    early = judge.verdict(address, data[:cut], False)
    if early is not None:
        assert judge.verdict(address, data, ended) == early
    assert judge.verdict(address, data, True) is not None
