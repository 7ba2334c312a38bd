"""What pages name exists: commands with their options, settings, make's targets."""

import re

import click
import pytest

from batchord.settings import Settings
from batchord.settings.allowed import is_secret
from tests.pages.named import named_commands, named_options, pages, problem
from tests.pages.page import ROOT

PAGES = [str(page.relative_to(ROOT)) for page in pages()]
#: Options of other programs that a page names alone → whose they are.
_OTHERS = {
    "--queues": "Celery's worker",
    "--quiet": "Celery",
    "--address": "Flower",
    "--basic_auth": "Flower",
    "--auth": "Flower",
    "--conf": "Flower",
    "--pooler": "the drills and the soak",
    "--help": "every command",
    "--strict": "mypy",
}
#: What a command of a ``Bash`` step finds in its environment besides settings.
_OF_STEPS = {
    f"BATCHORD_{name}"
    for name in ("ATTEMPT", "OUTPUTS", "PARAMS", "PIPELINE", "RUN_ID", "SLOT", "STEP", "WINDOW_END", "WINDOW_START")
}


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_batchord_exist(page: str) -> None:
    """With these options and no argument too many, in blocks and within the text."""
    from app.cli import batchord

    told = [(each, problem(batchord, each.words[1:])) for each in named_commands(page, "batchord")]

    assert [(each.place, why) for each, why in told if why is not None] == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("batchord erase", "There is no command 'erase'."),
        ("batchord run reviews --lokal", "No such option '--lokal'."),
        ("batchord run reviews orders", "'orders' is too much."),
        ("batchord run", None),
        ("batchord audit [NAME]...", None),
    ],
)
def test_a_command_that_does_not_exist_is_told(command: str, why: str | None) -> None:
    """A command may leave out its arguments: a sentence names it so."""
    from app.cli import batchord

    told = problem(batchord, tuple(command.split()[1:]))

    assert (told or "").partition(" Did you mean")[0] == (why or "")


@pytest.mark.parametrize("page", PAGES)
def test_options_that_stand_alone_exist(page: str) -> None:
    """They belong to some command of ``batchord``, or to a program that this file names."""
    from app.cli import batchord

    context = click.Context(batchord)
    commands = [batchord.get_command(context, name) for name in batchord.list_commands(context)]
    options = {name for command in commands if command for parameter in command.params for name in parameter.opts}

    alone = {each.words[0].partition("=")[0] for each in named_options(page)}

    assert alone - options - _OTHERS.keys() == set()


@pytest.mark.parametrize("page", PAGES)
def test_settings_exist(page: str) -> None:
    """Whatever begins with ``BATCHORD_`` is a setting, or a variable that steps get."""
    named = set(re.findall(r"\bBATCHORD_[A-Z0-9_]*[A-Z0-9]", (ROOT / page).read_text("utf-8")))

    settings = {f"BATCHORD_{name.upper()}" for name in Settings.model_fields}
    files = {f"BATCHORD_{name.upper()}_FILE" for name, field in Settings.model_fields.items() if is_secret(field)}

    assert named - settings - files - _OF_STEPS == set()


def test_targets_of_make_exist() -> None:
    """Those with a pattern, such as ``test-%``, among them."""
    targets = re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    patterns = [re.compile(target.replace("%", ".+")) for target in targets]
    words = [(each.place, each.words[1]) for page in PAGES for each in named_commands(page, "make") if each.words[1:]]

    assert [(place, word) for place, word in words if not any(pattern.fullmatch(word) for pattern in patterns)] == []
    assert words
