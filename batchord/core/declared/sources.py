"""What an author says about a source: which records there are, what identifies and what orders them.

These are declarations. A kind of source is a subclass of :class:`Source`; it imports what it reads with in its
``open()``, so that the catalog, beat and the command line stay light.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from batchord.core.declared.declaration import Declaration

if TYPE_CHECKING:
    from batchord.core.declared.source_reader import SourceReader

#: Start and end of the time that a run reads.
Window = tuple[datetime, datetime]

#: Key of a field's metadata: what its value decides. Without it, which records there are: the field is then a part of
#: the source's digest, unless it has its default.
DECIDES = "decides"
#: How the values of the same records are read: the frontier stays, but no run mixes two of them.
_VALUES = "values"
DECIDES_VALUES = {DECIDES: _VALUES}
#: Neither: how long a read may take, or what is rejected.
DECIDES_NOTHING = {DECIDES: "nothing"}
#: Key of a field's metadata: that its default stands in the digest, too. Digests that are in ledgers have it.
_DEFAULT_IN_DIGEST = "default-in-digest"
DEFAULT_IN_DIGEST = {_DEFAULT_IN_DIGEST: True}

#: How Python shows what has no text of its own, such as a function: the address is another in each process.
_ADDRESS = re.compile(r"<.* at 0x[0-9a-f]+>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class SourceContext:
    """What a source is opened with."""

    #: The run's; None where the run has none, or the source does not say that it reads it.
    window: Window | None = None
    #: The ledger's database, by the role that only reads.
    database_url: str
    #: How long a statement may take, and wait for a lock, where the source does not say.
    statement_seconds: float = 300.0
    lock_seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Source(Declaration):
    """What all kinds of sources share."""

    #: What identifies a record, such as a column: unique and never missing. It names the index of the model's frame.
    key: str
    #: What orders records by their arrival, such as a column; None when the key itself does.
    arrival: str | None = field(default=None, metadata=DEFAULT_IN_DIGEST)
    #: The longest time between taking a position and the record being visible: the frontier then stays that far
    #: behind. None: the reader tells which transactions are open, or there is no frontier.
    settle: timedelta | None = field(default=None, metadata=DEFAULT_IN_DIGEST)

    def open(self, context: SourceContext) -> "SourceReader":
        """What reads the records. Heavy libraries are imported here, in the worker that needs them.

        Connects to nothing that may hang: that is for the reader, when it is first read. Raises ConfigurationError.
        """
        raise NotImplementedError(f"{type(self).__name__} has no open()")

    @property
    def uses_window(self) -> bool:
        """Whether it reads the run's window, ``context.window``: then it has no frontier."""
        return False

    @property
    def is_bounded(self) -> bool:
        """Whether it reads both ends of the run's window, so that two windows give no record twice."""
        return self.uses_window

    def within(self, limit: timedelta) -> Self:  # noqa: ARG002 -- for kinds that can say so
        """The same source for a short look: one statement takes no longer than ``limit``, where it can say so."""
        return self

    @property
    def digest(self) -> str:
        """Changes when there may be other records than before: the frontier of its step is void then."""
        own = [] if self.kind_digest is None else [f"kind_digest={self.kind_digest}"]
        options = [f"{name}={text}" for name, text in self._options(None)]
        text = f"{type(self).__qualname__}({', '.join([*options, *own])})"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def options_of_values(self) -> list[tuple[str, str]]:
        """The options that decide how values are read, as texts that are the same in every process."""
        return self._options(_VALUES)

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each; empty when all is well."""
        found = []
        if not self.key:
            found.append("the source has no key: name the column that identifies a record")
        found += [
            f"{option}={value!r}: give the name of a column as a text"
            for option, value in (("key", self.key), ("arrival", self.arrival))
            if value and not isinstance(value, str)
        ]
        if self.settle is not None and not isinstance(self.settle, timedelta):
            found.append(f"settle={self.settle!r}: give a timedelta, or None")
        elif self.settle is not None and self.settle < timedelta(0):
            found.append("settle= is negative: give the longest time a record may take to become visible")
        return found + [
            f"{name}= holds {text[:100]}, which is another text in each process: give numbers, texts, times or lists"
            for name, text in [*self._options(None), *self._options(_VALUES)]
            if not isinstance(getattr(self, name), str) and _ADDRESS.search(text)
        ]

    def _options(self, decides: str | None) -> list[tuple[str, str]]:
        """Names and texts of the fields that decide this, in the order in which they are given."""
        own = [each for each in fields(self) if each.init and each.metadata.get(DECIDES) == decides]
        return [
            (each.name, _text(getattr(self, each.name)))
            for each in sorted(own, key=lambda each: bool(each.kw_only))
            if each.metadata.get(_DEFAULT_IN_DIGEST) or getattr(self, each.name) != _default(each)
        ]


def _default(option: Field[Any]) -> Any:
    return option.default if option.default_factory is MISSING else option.default_factory()


def _text(value: Any) -> str:
    """The value as a text that is the same in every process: a set's order differs, a dict's is of no account."""
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(_text, value)))}}}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(sorted(f'{_text(key)}: {_text(each)}' for key, each in value.items()))}}}"
    return repr(value)
