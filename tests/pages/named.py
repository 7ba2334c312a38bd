"""The commands that pages name: in blocks, and in code within their text."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from markdown_it import MarkdownIt

from tests.pages.page import ROOT
from tests.pages.shell import commands

#: A command up to where another one begins, or where its output goes. Within quotes, nothing ends it.
_COMMAND = re.compile(r"""(?:"[^"]*"|'[^']*'|\s(?!&&|\||;|>|<|2>&1|#)|[^\s"'])*""")
_VARIABLES = re.compile(r"^(?:\w+=\S*\s+)+")


@dataclass(frozen=True, kw_only=True)
class Named:
    """A command as a page writes it."""

    #: ``page:line``, for people.
    place: str
    words: tuple[str, ...]


def named_commands(page: str, program: str) -> Iterator[Named]:
    """Every call of ``program`` that the page writes, with or without arguments."""
    for place, text in _code(page):
        bare = _VARIABLES.sub("", text.strip())
        if re.match(rf"{re.escape(program)}(?:\s|$)", bare):
            yield Named(place=place, words=tuple(shlex.split(next(_COMMAND.finditer(bare))[0])))


def named_options(page: str) -> Iterator[Named]:
    """Every option that a page's text names alone, such as ``--wait``."""
    for place, text in _code(page):
        if re.match(r"--[a-z]", text):
            yield Named(place=place, words=tuple(text.split()))


def _code(page: str) -> Iterator[tuple[str, str]]:
    """The code of a page: commands of its blocks, and code within its text. Each with its place."""
    for token in MarkdownIt().enable("table").parse((ROOT / page).read_text("utf-8")):
        place = f"{page}:{token.map[0] + 1}" if token.map else page
        if token.type == "code_block" or (token.type == "fence" and token.info in {"bash", "sh"}):
            yield from ((place, command) for command in commands(token.content))
        for child in token.children or ():
            if child.type == "code_inline":
                yield place, child.content


def problem(group: click.Command, words: tuple[str, ...]) -> str | None:
    """Why ``group`` would refuse these arguments before it does anything; None: it would not."""
    context, command = click.Context(group), group
    rest = [word for word in words if not _is_open(word)]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name, *rest = rest
        found = command.get_command(context, name)
        if found is None:
            return f"There is no command {name!r}."
        context, command = click.Context(found, parent=context, info_name=name), found
    try:
        _, left, _ = command.make_parser(context).parse_args(rest)
    except click.UsageError as error:
        return error.format_message()
    return f"{left[0]!r} is too much." if left else None


def _is_open(word: str) -> bool:
    """Whether the word stands for others, such as ``…`` and ``[NAME]...``."""
    return word in {"…", "..."} or word.startswith("[")


def pages() -> list[Path]:
    """Every page of the repository that its users read."""
    return sorted(path for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")] if "decisions" not in path.parts)
