"""The manual, the sample and the program say the same."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click
import msgspec
import pytest
import tomllib

from wakeport import errors
from wakeport.busy import Busy
from wakeport.cli.root import VERBS, wakeport
from wakeport.cli.telling import INTERRUPTED
from wakeport.listener import Listener
from wakeport.rules import Rule
from wakeport.service import Service, read

DOCS = Path(__file__).parents[2] / "docs"
MANUAL = (DOCS / "wakeport.1.md").read_text()
SAMPLE = (DOCS / "wakeport.toml").read_text()


def one_line(text: str) -> str:
    return " ".join(text.split())


def section(title: str) -> str:
    return MANUAL.partition(f"# {title}\n")[2].partition("\n#")[0]


def options(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def spelled(option: click.Option) -> str:
    names = ", ".join(option.opts)
    return f"- `{names} {option.metavar}`: {option.help}" if option.metavar else f"- `{names}`: {option.help}"


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_in_the_manual_word_for_word(verb: str) -> None:
    with click.Context(wakeport, info_name="wakeport") as above:
        command = wakeport.get_command(above, verb)
        assert command is not None
        context = click.Context(command, info_name=verb, parent=above)
        manual = section(f"wakeport {verb}")
        assert f"    wakeport {verb} {' '.join(command.collect_usage_pieces(context))}\n" in manual
    assert command.help is not None
    for paragraph in inspect.cleandoc(command.help).split("\n\n"):
        assert f"\n{one_line(paragraph)}\n" in manual
    assert re.findall(r"^- `-.*", manual, re.MULTILINE) == [spelled(option) for option in options(command)]


def test_the_manual_has_no_other_verb() -> None:
    assert re.findall(r"^### wakeport (.*)$", MANUAL, re.MULTILINE) == list(VERBS)


def test_the_program_s_own_options() -> None:
    for option in options(wakeport):
        assert spelled(option) in section("Options")


def test_each_exit_code_is_in_the_manual() -> None:
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.Problem)
    }
    documented = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", section("Exit status"), re.MULTILINE)}
    assert documented == {0, INTERRUPTED} | codes


def uncommented(text: str) -> str:
    return re.sub(r"(?m)^#(?=\w+ = |\[)", "", text)


ABOVE, HEADER, BELOW = SAMPLE.partition("[[listener]]\n")
ABOVE, OF_BUSY, BUSY = ABOVE.partition("#[busy]\n")
ABOVE, MODE, EACH = ABOVE.partition('#mode = "shared"\n')
KEYS, RULE, RULES = BELOW.partition("#[[listener.rule]]\n")


def test_the_sample_is_a_service_and_so_are_its_defaults() -> None:
    plain = read("NAME", SAMPLE, "wakeport.toml")
    said = read("NAME", uncommented(ABOVE + MODE) + HEADER + BELOW, "wakeport.toml")
    assert said.keep  # "never" is its default, and no value
    assert said.allow  # nor is "from everywhere"
    assert msgspec.structs.replace(said, keep=plain.keep, allow=plain.allow) == plain


def test_what_the_sample_says_of_each_connection_is_good_and_its_defaults_are_some() -> None:
    mode, listener = 'mode = "per-connection"\n', HEADER + 'on = "80"\n'
    said = read("NAME", mode + uncommented(EACH) + listener, "wakeport.toml")
    plain = read("NAME", f'{mode}image = "IMAGE"\n{listener}', "wakeport.toml")
    assert said.command
    assert said.memory_max
    assert said.cpu_max
    assert msgspec.structs.replace(said, command=None, memory_max=None, cpu_max=None) == plain


def test_what_the_sample_says_of_busy_is_good_and_its_defaults_are_some() -> None:
    said = read("NAME", uncommented(OF_BUSY + BUSY) + HEADER + BELOW, "wakeport.toml").busy
    assert said == msgspec.structs.replace(Busy(), cpu=said.cpu, check=said.check)


@pytest.mark.parametrize("line", re.findall(r"(?m)^#(\w+ = .*)", KEYS))
def test_each_key_of_a_listener_is_good_for_some_kind_of_it(line: str) -> None:
    """Not for each: a TCP port has no mode, and a path no flows. What is said to be a default is one."""
    key = line.partition(" = ")[0]
    kinds = {"mode": "/run/x.sock", "owner": "/run/x.sock", "flow_idle": "53/udp"}
    head = f'[[listener]]\non = "{kinds.get(key, "80")}"\n'
    page = 'page = "on"\n' if key == "page_file" else ""
    [said] = read("NAME", head + page + line, "wakeport.toml").listener
    [plain] = read("NAME", head, "wakeport.toml").listener
    if key == "mode":
        assert said.socket_mode == plain.socket_mode
    elif key in ("send_proxy", "page", "wake_on", "flow_idle"):
        assert said == plain


def test_the_sample_s_rules_make_sense() -> None:
    [listener] = read("NAME", HEADER + 'on = "80"\n' + uncommented(RULE + RULES), "wakeport.toml").listener
    assert len(listener.rule) == SAMPLE.count("#[[listener.rule]]")


def test_the_sample_has_every_key() -> None:
    everything = tomllib.loads(uncommented(SAMPLE))
    assert set(everything) == set(Service.__struct_encode_fields__) - {"name"}
    assert set(everything["busy"]) == set(Busy.__struct_encode_fields__)
    [listener] = everything["listener"]
    assert set(listener) == set(Listener.__struct_encode_fields__)
    assert {key for rule in listener["rule"] for key in rule} == set(Rule.__struct_encode_fields__)


def test_the_manual_has_every_key() -> None:
    keys = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"(?m)^\| (`.*?) \|", section("Settings")))))
    structs = (Service, Busy, Listener, Rule)
    assert keys == {key for one in structs for key in one.__struct_encode_fields__} - {
        "name",
        "busy",
        "listener",
        "rule",
    }
