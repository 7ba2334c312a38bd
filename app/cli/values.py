"""Types of options whose values click cannot check itself. A wrong value is refused before anything is loaded."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from batchord.core.declared.params import check_params
from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause

#: What a value of JSON begins with and a plain text hardly does.
_OPENS_JSON = ("{", "[", '"')


class ParamOfRun(click.ParamType[tuple[str, Any]]):
    """``KEY=VALUE`` as the key and the value. The value is JSON, or a text that does not begin like JSON."""

    name = "parameter"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """See click. It refuses broken JSON, and values that the ledger cannot store."""
        if isinstance(value, tuple):  # click may convert a value twice
            return value
        key, equals, text = value.partition("=")
        if not equals or not key:
            lacks = "no name before its '='" if equals else "no '='"
            example = "write KEY=VALUE, such as day=2026-11-01 or 'limit=10'"
            self.fail(f"{value!r} was read, which has {lacks}: {example}", param, ctx)
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as error:
            parsed = text
            if text.lstrip().startswith(_OPENS_JSON):
                self.fail(f"{value!r} was read, {_broken(key, text, error)}", param, ctx)
        try:
            check_params({key: parsed})
        except ConfigurationError as error:
            self.fail(str(error), param, ctx)
        return key, parsed


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601; UTC without an offset."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """See click."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            example = "write ISO 8601, such as 2026-11-01 or 2026-11-01T06:00+01:00"
            self.fail(f"{value!r} cannot be read as a time: {example}", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def each_once(_: click.Context, param: click.Parameter, pairs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """A callback of click: the pairs of a repeated option by key. It refuses a key that is given twice."""
    by_key: dict[str, Any] = {}
    for key, value in pairs:
        if key in by_key:
            raise click.BadParameter(f"{key!r} is given twice: give each parameter once.", param=param)
        by_key[key] = value
    return by_key


def _broken(key: str, text: str, error: Exception) -> str:
    """What is wrong with a value that begins like JSON, and how to write it."""
    if isinstance(error, json.JSONDecodeError):
        why = f"{error.msg} at character {error.pos + 1} of the value" if error.pos < len(text) else "it ends too early"
    else:
        why = "it is nested too deeply"
    quoted = f"{key}={json.dumps(text, ensure_ascii=False)}"
    return f"whose value begins like JSON but is not JSON ({clause(why)}). Correct it, or write the text as {quoted!r}."
