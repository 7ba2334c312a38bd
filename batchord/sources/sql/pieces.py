"""Counts new records in the ledger's own database: pieces of a source, each with its number of new records."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from batchord.core.run.records import Position
from batchord.core.run.shards import ShardRange
from batchord.sources.sql import postgres
from batchord.sources.sql.connections import reading
from batchord.sources.sql.outcomes import Outcomes, find_outcomes
from batchord.sources.sql.statements import Statements

#: How many columns follow the position in a row of piece ends: the place.
_NO_POSITION = 1
#: How many pieces one statement asks for.
_SLICE = 2048


@dataclass(frozen=True)
class Pieces:
    """The pieces of one source for one step. Each has ``rows`` records."""

    engine: sa.Engine
    statements: Statements
    pipeline: str
    step: str
    rows: int

    def above(self, after: Position | None, key_type: str | None) -> Iterator[ShardRange] | None:
        """The pieces above ``after``. They are read in slices, so that a full run need not count a large backlog.

        None if keys of ``key_type`` cannot be compared with those of the step's predictions.
        """
        with ExitStack() as reads:
            # One snapshot: no statement sees what commits between two of them. A later run finds it above the frontier.
            connection = reads.enter_context(reading(self.engine, snapshot=True))
            outcomes = find_outcomes(connection, self.pipeline, self.step)
            if not outcomes.compare_with(key_type):
                return None
            return self._read(connection, outcomes, after, reads.pop_all())

    def _read(
        self, connection: sa.Connection, outcomes: Outcomes, after: Position | None, reads: ExitStack
    ) -> Iterator[ShardRange]:
        met, rows = 0, self.rows
        with reads:
            connection.execute(postgres.DO_NOT_COMPILE)
            while True:
                counted = connection.execute(self.statements.fresh_in_pieces(after, rows, _SLICE, outcomes))
                fresh: dict[int, int] = {piece.piece: piece.fresh for piece in counted}
                ends = connection.execute(self.statements.piece_ends(after, rows, _SLICE)).fetchall()
                last = None
                for last in self._slice(ends, fresh, met):
                    yield last
                if last is None or last.places is None or last.places[1] + 1 < met + rows * _SLICE:
                    return
                after, met = last.last, last.places[1] + 1

    def _slice(self, ends: Sequence[Any], fresh: dict[int, int], met: int) -> Iterator[ShardRange]:
        """The pieces of one slice. ``met`` positions were read before it."""
        first: tuple[Position, int] | None = None
        rows = self.rows
        for number, row in enumerate(ends):
            place = row.batchord_place
            position = self.statements.position(row[:-_NO_POSITION])
            first = first or (position, place)
            following = ends[number + 1] if number + 1 < len(ends) else None
            if following is None or following.batchord_place // rows != place // rows:
                planned, places = fresh.get(place // rows, 0), (met + first[1], met + place)
                yield ShardRange(first=first[0], last=position, planned=planned, places=places)
                first = None
