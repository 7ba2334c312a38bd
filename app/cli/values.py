"""Values of options that click cannot check itself. A wrong one is refused before anything is loaded."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from batchord.core.declared.params import check_params
from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause
from batchord.core.text.moments import moment_of

#: What a value of JSON begins with and a plain text hardly does.
_OPENS_JSON = ("{", "[", '"')
#: The most characters that are shown of a value.
_MOST = 200


def params(_: click.Context, option: click.Parameter, texts: Sequence[str]) -> dict[str, Any]:
    """A callback of click: a run's parameters from the texts ``KEY=VALUE``. A value is JSON, or a plain text.

    It refuses a text that begins like JSON and is not, a value that the ledger cannot store, and a key that is given
    twice.
    """
    values: dict[str, Any] = {}
    for text in texts:
        try:
            key, value = parsed(text)
            check_params({key: value})
        except (ConfigurationError, ValueError) as error:
            raise click.BadParameter(str(error), param=option) from None
        if key in values:
            raise click.BadParameter(f"{key!r} is given twice: give each parameter once.", param=option)
        values[key] = value
    return values


def moment(_: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """A callback of click: a time in ISO 8601, UTC without an offset."""
    if text is None:
        return None
    try:
        return moment_of(text)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), param=option) from None


def parsed(text: str) -> tuple[str, Any]:
    """``KEY=VALUE`` as the key and the value. Raises ValueError, which says what was read and what to write."""
    key, equals, written = text.partition("=")
    if not equals or not key:
        lacks = "no name before its '='" if equals else "no '='"
        raise ValueError(f"{text!r} was read, which has {lacks}: write KEY=VALUE, such as day=2026-11-01 or 'limit=10'")
    try:
        return key, json.loads(written)
    except (ValueError, RecursionError) as error:
        if written.lstrip().startswith(_OPENS_JSON):
            raise ValueError(f"{_beginning(text)} was read, {_broken(key, written, error)}") from None
        return key, written


def _broken(key: str, written: str, error: Exception) -> str:
    """What is wrong with a value that begins like JSON, and how to write it."""
    if isinstance(error, json.JSONDecodeError):
        at_end = error.pos >= len(written)
        why = "it ends too early" if at_end else f"{error.msg} at character {error.pos + 1} of the value"
    else:
        why = "it is nested too deeply"
    as_text = _beginning(f"{key}={json.dumps(written, ensure_ascii=False)}")
    return f"whose value begins like JSON but is not JSON ({clause(why)}). Correct it, or write the text as {as_text}."


def _beginning(text: str) -> str:
    return repr(text if len(text) <= _MOST else f"{text[:_MOST]}…")
