"""What a request asks for: its fields as they came, and the form that asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from batchord.reports.run_names import run_named
from batchord.settings import settings
from batchord.wiring import ledger


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a form that filters a page."""

    name: str
    label: str
    value: str | None
    #: What a person may choose from; empty: any text.
    choices: Sequence[str] = ()
    #: An example of a text.
    example: str = ""
    required: bool = False

    @property
    def options(self) -> Sequence[str]:
        """The choices, with a value that is none of them: an address may name a pipeline without a file."""
        return [*self.choices, *([self.value] if self.value and self.value not in self.choices else [])]


def asked(handler: Any, name: str) -> str | None:
    """A field of the address as it came, unlike Tornado's own, which changes blanks; None if it is absent or empty."""
    return _last(handler.request.query_arguments, name)


def posted(handler: Any, name: str) -> str | None:
    """The same of a form that was sent."""
    return _last(handler.request.body_arguments, name)


def sealed(key: str) -> str:
    """A key for a hidden field: a browser would change the ends of its lines."""
    return quote(key, safe="")


def unsealed(key: str) -> str:
    """The key."""
    return unquote(key)


def run_id(name: str | None) -> str | None:
    """The id of the run that a person names, see :func:`batchord.reports.run_names.run_named`; None for None."""
    return None if name is None else run_named(ledger(), name.strip()).id


def shows_records() -> bool:
    """Whether pages may show keys, and texts about single records."""
    return settings().show_records != "none"


def _last(arguments: dict[str, list[bytes]], name: str) -> str | None:
    values = arguments.get(name)
    return values[-1].decode("utf-8", "replace") or None if values else None
