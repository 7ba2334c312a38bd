"""Declarations of sources: which records there are, what identifies them, and what orders them.

A kind of source is a subclass of :class:`Source`. It imports its libraries only in ``open()``, so that the catalog,
beat and the command line stay light.
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

#: The start and the end of a run's window.
Window = tuple[datetime, datetime]

#: Key of a field's metadata: what the value of the field decides. A field without this key decides which records there
#: are: it is part of the source's digest, unless it has its default value.
DECIDES = "decides"
#: Metadata of a field that decides how values are read. If it changes, the frontier stays, but no run mixes both ways.
_VALUES = "values"
DECIDES_VALUES = {DECIDES: _VALUES}
#: Metadata of a field that decides neither, such as how long a read may take or what is rejected.
DECIDES_NOTHING = {DECIDES: "nothing"}
#: Key of a field's metadata: the digest covers even the default value, as existing digests in ledgers do.
_DEFAULT_IN_DIGEST = "default-in-digest"
DEFAULT_IN_DIGEST = {_DEFAULT_IN_DIGEST: True}

#: How Python shows a value without a text of its own, such as a function. The address differs in each process.
_ADDRESS = re.compile(r"<.* at 0x[0-9a-f]+>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class SourceContext:
    """What a source gets when it is opened."""

    #: The run's window; None if the run has none or the source does not use it.
    window: Window | None = None
    #: The address of the ledger's database for the role that only reads.
    database_url: str
    #: How long a statement may take, and wait for a lock, unless the source sets its own limits.
    statement_seconds: float = 300.0
    lock_seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Source(Declaration):
    """The base of all kinds of sources.

    Args:
        key: What identifies a record, such as a column: unique and never missing. It names the index of the model's
            frame.
        arrival: What orders records by their arrival, such as a column; None if the key itself orders them.
        settle: The longest time from taking a position until its record is visible: the frontier stays that far
            behind. None: the reader shows which transactions are open; otherwise there is no frontier.
    """

    key: str
    arrival: str | None = field(default=None, metadata=DEFAULT_IN_DIGEST)
    settle: timedelta | None = field(default=None, metadata=DEFAULT_IN_DIGEST)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The names of the columns that identify a record together; nearly always it is one."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def key_name(self) -> str:
        """The name of the key for people; of several columns, all names."""
        return ", ".join(map(str, self.key_columns))

    def open(self, context: SourceContext) -> "SourceReader":
        """A reader for the records. It imports heavy libraries here, in the worker that needs them.

        It must not connect to a server, which may hang: the reader does so at its first read.

        Raises ConfigurationError.
        """
        raise NotImplementedError(f"{type(self).__name__} has no open()")

    @property
    def uses_window(self) -> bool:
        """Whether the source reads the run's window, ``context.window``. Then it has no frontier."""
        return False

    @property
    def has_limit(self) -> bool:
        """Whether the source gives at most a certain number of records, so that no run sees the others."""
        return False

    @property
    def is_bounded(self) -> bool:
        """Whether the source reads both ends of the run's window, so that no record is in two windows."""
        return self.uses_window

    def within(self, limit: timedelta) -> Self:  # noqa: ARG002 -- for kinds that have such limits
        """The same source for a short check: a statement takes at most ``limit``, if the kind has such limits."""
        return self

    @property
    def digest(self) -> str:
        """Changes when there may be other records than before. Then the frontier of its step is void."""
        own = [] if self.kind_digest is None else [f"kind_digest={self.kind_digest}"]
        options = [f"{name}={text}" for name, text in self._options(None)]
        text = f"{type(self).__qualname__}({', '.join([*options, *own])})"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def options_of_values(self) -> list[tuple[str, str]]:
        """The options that decide how values are read, as texts that are the same in every process."""
        return self._options(_VALUES)

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each; empty if there are none."""
        problems = self._problems_of_key()
        if self.arrival and not isinstance(self.arrival, str):
            problems.append(f"arrival={self.arrival!r}: give the name of a column as a text")
        if self.settle is not None and not isinstance(self.settle, timedelta):
            problems.append(f"settle={self.settle!r}: give a timedelta, or None")
        elif self.settle is not None and self.settle < timedelta(0):
            problems.append("settle= is negative: give the longest time a record may take to become visible")
        return problems + [
            f"{name}= holds {text[:100]}, which is another text in each process: give numbers, texts, times or lists"
            for name, text in [*self._options(None), *self._options(_VALUES)]
            if not isinstance(getattr(self, name), str) and _ADDRESS.search(text)
        ]

    def _problems_of_key(self) -> list[str]:
        if not self.key:
            return ["the source has no key: name the column that identifies a record"]
        return [] if isinstance(self.key, str) else [f"key={self.key!r}: give the name of a column as a text"]

    def _options(self, decides: str | None) -> list[tuple[str, str]]:
        """The names and texts of the options that decide ``decides``, positional options first."""
        own = [option for option in fields(self) if option.init and option.metadata.get(DECIDES) == decides]
        return [
            (option.name, _text(getattr(self, option.name)))
            for option in sorted(own, key=lambda option: bool(option.kw_only))
            if option.metadata.get(_DEFAULT_IN_DIGEST) or getattr(self, option.name) != _default(option)
        ]


def _default(option: Field[Any]) -> Any:
    return option.default if option.default_factory is MISSING else option.default_factory()


def _text(value: Any) -> str:
    """The value as a text that is the same in every process. Sets and dicts are sorted for that."""
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(_text, value)))}}}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(sorted(f'{_text(key)}: {_text(each)}' for key, each in value.items()))}}}"
    return repr(value)
