"""Finds the greatest position of a source that is not a stray."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa

from batchord.core.run.horizon import MOST_COUNTED, MOST_STRAYS, Present, Stray, greatest_of_the_present, leading
from batchord.core.run.records import Position, Scalar
from batchord.sources.sql import postgres
from batchord.sources.sql.columns import Columns
from batchord.sources.sql.connections import reading
from batchord.sources.sql.statements import Statements

#: Types of keys that are read as texts but compared as numbers.
_NUMBERS: dict[int, Callable[[str], Scalar]] = {701: float, 1700: Decimal}


def value_of(columns: Columns, position: Position) -> Scalar:
    """The value that orders a position."""
    value = leading(position)
    number = _NUMBERS.get(columns.leading_type)
    return value if number is None or not isinstance(value, str) else number(value)


@dataclass(frozen=True, kw_only=True)
class Look:
    """One check of a source. Each question is a statement of its own."""

    engine: sa.Engine
    statements: Statements
    columns: Columns
    settle: timedelta | None

    def present(self) -> Present:
        """The greatest position according to clocks, sequences and types, and the strays beyond it."""
        present = self._present()
        if present.stray is None or present.limit is None:
            return present
        return replace(present, stray=self._with_count(present.stray, present.limit))

    def _present(self) -> Present:
        now, ceiling = datetime.now(UTC), None
        if self.engine.dialect.name == "postgresql":
            cap = postgres.cap(self.columns.leading_type, self.settle)
            if cap is not None:
                least = postgres.future(self.columns.leading_type)
                return Present(greatest=self._greatest(cap), stray=None if least is None else self._future(least))
            highest = self._greatest(None)
            with reading(self.engine) as connection:  # later: values given meanwhile are no strays
                now, ceiling = postgres.clock(connection), postgres.last_given(connection, self.columns.leading_origin)
        else:
            highest = self._greatest(None)
            if highest is not None and isinstance(leading(highest), date):
                least = sa.literal(now.replace(tzinfo=None) + postgres.ZONES)
                return Present(greatest=self._greatest(sa.func.current_timestamp()), stray=self._future(least))
        return greatest_of_the_present(
            lambda limit: highest if limit is None else self._greatest(limit),
            self._has_many_beyond,
            ceiling=ceiling,
            now=now,
            value_of=partial(value_of, self.columns),
        )

    def _future(self, least: sa.ColumnElement[Any]) -> Stray | None:
        with reading(self.engine) as connection:
            row = connection.execute(self.statements.future(least)).first()
        return None if row is None else self._with_count(Stray(key=row[0], position=row[1]), least)

    def _with_count(self, stray: Stray, limit: sa.ColumnElement[Any] | Scalar) -> Stray:
        with reading(self.engine) as connection:
            count = connection.scalar(self.statements.count_beyond(limit, MOST_COUNTED)) or 0
        return replace(stray, count=max(1, count))  # somebody may have corrected the stray meanwhile

    def _has_many_beyond(self, limit: Scalar) -> bool:
        with reading(self.engine) as connection:
            return connection.execute(self.statements.many_beyond(limit, MOST_STRAYS)).first() is not None

    def _greatest(self, cap: sa.ColumnElement[Any] | Scalar | None) -> Position | None:
        with reading(self.engine) as connection:
            row = connection.execute(self.statements.greatest(cap)).first()
        if row is None:
            return None
        return Position(arrival=None if len(row) == 1 else row[0], key=row[-1])
