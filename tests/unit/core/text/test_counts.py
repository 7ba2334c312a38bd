"""Counts as people read them."""

import ast
import re
from pathlib import Path

import pytest

from batchord.core.text.counts import counted

ROOT = Path(__file__).parents[4]
#: What is counted in texts for people.
_NOUNS = (
    "alerts attempts bytes changes columns entries files lines objects outputs parts pipelines predictions records "
    "rows runs seconds shards steps times windows"
)
_AFTER_A_VALUE = re.compile(rf"^ (pending |rejected )?({'|'.join(_NOUNS.split())})\b(?!/)")


@pytest.mark.parametrize(
    ("number", "noun", "plural", "text"),
    [
        (0, "record", None, "0 records"),
        (1, "record", None, "1 record"),
        (2, "shard", None, "2 shards"),
        (12345, "record", None, "12,345 records"),
        (1, "entry", "entries", "1 entry"),
        (3, "entry", "entries", "3 entries"),
    ],
)
def test_a_noun_has_the_form_of_its_number(number: int, noun: str, plural: str | None, text: str) -> None:
    """One thing is not several."""
    assert counted(number, noun, plural=plural) == text


def test_every_text_counts_by_this_function() -> None:
    """No f-string says a number and a plural by itself, which would be wrong for one."""
    wrong = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for top in ("batchord", "app", "workers", "beat")
        for file in sorted((ROOT / top).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr) and _counts_by_itself(node)
    ]

    assert wrong == []


def _counts_by_itself(text: ast.JoinedStr) -> bool:
    return any(
        isinstance(before, ast.FormattedValue)
        and isinstance(after, ast.Constant)
        and _AFTER_A_VALUE.match(str(after.value))
        and _is_a_count(before)
        for before, after in zip(text.values, text.values[1:], strict=False)
    )


def _is_a_count(value: ast.FormattedValue) -> bool:
    """No name in capitals, which stands for a limit of more than one; no measure, which has a format for fractions."""
    constant = isinstance(value.value, ast.Name) and value.value.id.isupper()
    measure = value.format_spec is not None and ast.unparse(value.format_spec).rstrip("'\"").endswith(("g", "f"))
    return not (constant or measure or value.conversion == ord("r"))
