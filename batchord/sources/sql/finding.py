"""Finds records by the texts that the ledger has for their keys."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import sqlalchemy as sa

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import LONGEST_KEY, Position, Scalar, TextKey, ledger_texts, record_key
from batchord.sources.sql.columns import Columns
from batchord.sources.sql.connections import reading
from batchord.sources.sql.statements import Statements

#: The most rows that are read for a text: one record has one row, unless the query gives a key several times.
_ROWS = 10
_WHOLE = re.compile(r"[+-]?[0-9]{1,400}")
#: A key that was too long: its beginning and a digest, see :func:`batchord.core.run.records.record_key`.
_CUT = re.compile(rf"(.{{{LONGEST_KEY}}})#[0-9a-f]{{32}}", re.DOTALL)
#: ``pg_type.oid`` of int8, int2, int4 and uuid. The server refuses any other text as their value.
_WHOLES, _UUID = frozenset({20, 21, 23}), 2950
#: Beyond what int8 holds.
_BEYOND = 2**63


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Finds records of one source."""

    engine: sa.Engine
    statements: Statements
    columns: Columns
    #: The function that turns what was read into a key; None: the value itself is the key.
    key_of: Callable[[str], TextKey] | None

    def find(self, texts: Sequence[str], *, scan: Callable[[Sequence[str]], list[Position]]) -> list[Position]:
        """The positions of the records with these keys. ``scan`` reads all keys, where nothing else can tell.

        Raises ConfigurationError and TransientError.
        """
        if self.engine.dialect.name == "postgresql":
            return [position for text in texts for position in self._on_postgres(text)]
        values = [value for text in texts for value in _values(text)]
        try:
            equal = self._read(self.statements.with_key(values, _ROWS * len(texts)))
        except ConfigurationError:  # the database compares no text with such a key
            equal = []
        # Such a database may take "7 apples" for 7.
        exact = {*texts, *map(record_key, texts)}
        equal = [position for position in equal if not ledger_texts([position.key]).keys().isdisjoint(exact)]
        return equal or scan(texts)

    def _on_postgres(self, text: str) -> list[Position]:
        if not _can_be(text, self.columns.key_type):
            return []
        cut = _CUT.fullmatch(text)
        if cut is not None:
            begin_alike = self._read(self.statements.with_beginning(cut[1], _ROWS))
            return [position for position in begin_alike if text in ledger_texts([position.key])]
        try:
            # PostgreSQL reads the text as a value of the key's type, as it wrote the text for the ledger.
            return self._read(self.statements.with_key([text], _ROWS))
        except ConfigurationError:
            # It is not the text of such a value, or PostgreSQL can read no text as one, such as a row of columns.
            return self._read(self.statements.with_text(text, _ROWS))

    def _read(self, statement: sa.Select[tuple[object, ...]]) -> list[Position]:
        with reading(self.engine) as connection:
            positions = [self.statements.position(row) for row in connection.execute(statement)]
        return positions if self.key_of is None else [replace(at, key=self.key_of(str(at.key))) for at in positions]


def _can_be(text: str, key_type: object) -> bool:
    """Whether ``text`` can be a key of the type, as far as that is known without asking the server."""
    if "\x00" in text:
        return False
    if key_type in _WHOLES:
        return _WHOLE.fullmatch(text.strip()) is not None and abs(int(text)) < _BEYOND
    if key_type == _UUID:
        try:
            UUID(text.strip())
        except ValueError:
            return False
    return True


def _values(text: str) -> list[Scalar]:
    """The values that a driver may give for a key of this text."""
    return [text, int(text)] if _WHOLE.fullmatch(text) else [text]
