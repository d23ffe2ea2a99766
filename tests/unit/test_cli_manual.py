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
from wakeport.cli.root import VERBS, wakeport
from wakeport.cli.telling import INTERRUPTED
from wakeport.service import Listener, Service, read

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


def test_the_sample_is_a_service_and_so_are_its_defaults() -> None:
    plain = read("NAME", SAMPLE, "wakeport.toml")
    said = read("NAME", re.sub(r"(?m)^#(?=\w+ = )", "", SAMPLE), "wakeport.toml")
    assert said.listener[0].to == 8080
    assert msgspec.structs.replace(said, listener=plain.listener) == plain


def test_the_sample_has_every_key() -> None:
    everything = tomllib.loads(re.sub(r"(?m)^#(?=\w+ = )", "", SAMPLE))
    assert set(everything) == set(Service.__struct_fields__) - {"name"}
    assert set(everything["listener"][0]) == set(Listener.__struct_fields__)
