"""The examples at the end of each help page are calls that the commands accept."""

import shlex

import click
import pytest
from click.testing import CliRunner

from app.cli import batchord
from app.cli.examples import EXAMPLES
from batchord.settings import PREFIX, Settings

_CONTEXT = click.Context(batchord, info_name="batchord")
_ALL = [pytest.param(name, line, id=line) for name, examples in EXAMPLES.items() for line, _ in examples]


def test_every_command_has_two_examples() -> None:
    """And there are none of a command that does not exist."""
    assert EXAMPLES.keys() == set(batchord.list_commands(_CONTEXT))
    assert {len(examples) for examples in EXAMPLES.values()} == {2}


@pytest.mark.parametrize(("name", "line"), _ALL)
def test_the_command_accepts_the_example(name: str, line: str) -> None:
    """Its own parser reads it; nothing is executed."""
    command_line, *_ = line.replace(" > ", " | ").split(" | ")
    words = shlex.split(command_line)
    while "=" in words[0]:  # a variable, as in a shell
        variable = words.pop(0).partition("=")[0]
        assert variable.removeprefix(PREFIX).lower() in Settings.model_fields
    assert words[:2] == ["batchord", name]
    command = batchord.get_command(_CONTEXT, name)
    assert command is not None
    with command.make_context(name, words[2:], parent=_CONTEXT) as parsed:
        assert not parsed.args


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_page_ends_with_them(name: str) -> None:
    """Each on a line of its own, as wide as a terminal at most."""
    page = CliRunner().invoke(batchord, [name, "--help"], terminal_width=80).output
    end = page[page.index("\n  Examples:\n") :]
    for line, what in EXAMPLES[name]:
        assert f"    {line}" in end
        assert what in end
    assert max(map(len, page.splitlines())) <= 80
