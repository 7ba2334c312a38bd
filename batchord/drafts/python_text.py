"""Writes Python as ruff formats it, at the usual width and at a greater one."""

from collections.abc import Iterable

from batchord.core.text.visible import in_one_line

#: The width of a line that ruff has if nobody sets another.
WIDTH = 88
_INDENT = "    "


def literal(text: str) -> str:
    """``text`` as a Python string: in double quotes, unless it has more of them than of single ones."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    escapes = {"\\": "\\\\", quote: f"\\{quote}", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return quote + "".join(escapes.get(each) or _printable(each) for each in text) + quote


def block_literal(lines: Iterable[str]) -> str:
    """Lines as one Python string in triple quotes, each indented."""
    shown = [f"{_INDENT}{_in_block(line)}" for line in lines]
    return "\n".join(['"""', *shown, '"""'])


def listed(before: str, items: Iterable[str], *, indent: int = 0, end: str = "") -> str:
    """A list of expressions after ``before``: in one line if there is room, otherwise one in each line."""
    pieces, space = list(items), _INDENT * indent
    line = f"{space}{before}[{', '.join(pieces)}]{end}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{space}{before}[", *(f"{space}{_INDENT}{piece}," for piece in pieces), f"{space}]{end}"])


def called(before: str, argument: str, *, end: str = "") -> str:
    """A call with one argument after ``before``: in one line if there is room."""
    line = f"{before}({argument}){end}"
    return line if len(line) <= WIDTH else f"{before}(\n{_INDENT}{argument},\n){end}"


def comment(text: str) -> str:
    """``text`` for a comment. A name from a database must not end the comment's line."""
    return in_one_line(text)


def _in_block(line: str) -> str:
    return "".join(_printable(each) for each in line.replace("\\", "\\\\")).replace('"""', '""\\"')


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004 -- what two hexadecimal digits hold
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 -- as above, four digits
