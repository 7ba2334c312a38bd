"""What Batchord says to people reaches them whole: the masking of secrets leaves its own words alone."""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from batchord.core.secrets.patterns import masked
from batchord.core.text.error_text import clause

_ROOT = Path(__file__).parents[3]
_SQL = re.compile(r"\b(SELECT|UPDATE|INSERT|lease_token)\b")


def _sentences(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of what the code may say; not SQL, and no docstrings. For a value stands a number."""
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    parts |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(each.value) if isinstance(each, ast.Constant) else "64" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            text = node.value
        if " " in text and not _SQL.search(text):
            yield node.lineno, text


def test_no_advice_of_our_own_is_masked() -> None:
    """A sentence that tells what to do must not lose the word that says it."""
    hit = {
        (file.relative_to(_ROOT).as_posix(), line, masked(text))
        for folder in ("batchord", "app", "workers", "beat", "demo")
        for file in (_ROOT / folder).rglob("*.py")
        for line, text in _sentences(ast.parse(file.read_text(encoding="utf-8")))
        if masked(text) != text
    }
    assert not hit


def test_a_count_of_tokens_is_no_secret() -> None:
    """What people call by that name are words of a text as well."""
    said = "max_tokens=65, but models/a takes between 3 and 64 tokens: correct max_tokens."
    assert masked(said) == said
    assert masked("token: abcdef123") == "token: ***"


#: What holds the text of an error, where a sentence is built from it.
_ERRORS = re.compile(
    r"(error|failure|reason|refused|violation)(\.strerror)?|str\(error\)|_?(error_text|message_of|text_of)\(.*\)"
)


def _stops_after_errors(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and expression where an error's text stands right before a full stop in an f-string."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for part, following in itertools.pairwise(node.values):
            if isinstance(part, ast.FormattedValue) and isinstance(following, ast.Constant):
                expression = ast.unparse(part.value)
                if str(following.value).startswith(".") and _ERRORS.fullmatch(expression):
                    yield node.lineno, expression


def test_no_message_ends_with_two_full_stops() -> None:
    """An error's text may end with one itself: whoever adds one uses ``clause()``."""
    hit = {
        (file.relative_to(_ROOT).as_posix(), line, expression)
        for folder in ("batchord", "app", "workers", "beat", "demo")
        for file in (_ROOT / folder).rglob("*.py")
        for line, expression in _stops_after_errors(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert not hit
    assert list(_stops_after_errors(ast.parse('f"It failed: {error}. Try again."'))) == [(1, "error")]
    assert clause(ValueError("It is gone.\n")) == clause("It is gone...") == "It is gone"
