"""Shards: ranges of positions, cut while positions stream by."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchord.core.run.records import Position


@dataclass(frozen=True, kw_only=True)
class ShardRange:
    """The records from ``first`` to ``last``, both included, in arrival order."""

    first: Position
    last: Position
    #: Records in the range that had neither a prediction nor a rejection when the shard was planned.
    planned: int
    #: Places of ``first`` and ``last`` among all records that the scan met, accounted for or not; None: not counted.
    places: tuple[int, int] | None = None

    @property
    def dense(self) -> bool:
        """Whether no record between the ends was accounted for when the shard was planned."""
        return self.places is not None and self.places[1] - self.places[0] + 1 == self.planned


@dataclass(frozen=True, kw_only=True)
class ShardSize:
    """How large shards are to be."""

    #: Records in a full shard.
    rows: int
    #: Records below which a shard is not worth a task of its own.
    min_rows: int
    #: Shards to aim at when the backlog is small, so that no core idles.
    parallelism: int
    #: Shards of one run at the most.
    max_shards: int
    #: Whether the first shards are small and the later ones larger, since nobody knows how long one takes.
    grows: bool = False
    #: Whether a whole round of shards is cut for each process, the last of them smaller, so that no process waits for
    #: another's long last shard.
    tapers: bool = False


#: The parts that the last round of shards is cut into. Shards of even numbers of records differ in their times by a
#: tenth or two, and so do processes: what is left at the end is that share of the last part.
_LAST_ROUND = (0.5, 0.25, 0.25)
#: Times the least rows of a shard that the smallest part must have: each shard begins and ends with some 50 ms in
#: which its process has nothing to compute.
_WORTH_TAPERING = 4


class ShardCutter:
    """Takes positions in ascending order, in chunks, and cuts them into even shards at the end.

    The number of records is known only at the end, and memory must not grow with it. So the cutter keeps
    short pieces of the range (their ends and counts) and joins neighbours whenever it holds too many.
    """

    #: Four times the most shards that a run may have, so that joining costs little evenness.
    MAX_PIECES = 4096

    def __init__(self, size: ShardSize) -> None:
        self.size = size
        self.records = 0
        self._pieces: list[ShardRange] = []
        #: Records in a piece, for who cuts pieces elsewhere.
        self.piece_rows = max(1, min(size.min_rows, size.rows) // 2)
        self._piece_rows = self.piece_rows
        self._open: list[Position] = []
        self._open_places: list[int] = []

    @property
    def room(self) -> int:
        """Records that still fit into this run."""
        return self.size.rows * self.size.max_shards - self.records

    def add(self, positions: Sequence[Position], places: Sequence[int]) -> None:
        """Takes the next positions; at most :attr:`room` of them.

        ``places``: theirs among all records that the scan met.
        """
        self.records += len(positions)
        self._open.extend(positions)
        self._open_places.extend(places)
        start = 0
        while (end := start + self._piece_rows) <= len(self._open):
            self._pieces.append(_piece(self._open[start:end], self._open_places[start:end]))
            start = end
            # At once, whatever is left of the chunk: where shards end must not depend on the size of chunks.
            self._join_neighbours()
        del self._open[:start], self._open_places[:start]

    def add_piece(self, piece: ShardRange) -> None:
        """Takes the next piece, of at most :attr:`room` records, that somebody else has counted."""
        self.records += piece.planned
        # Those before may have been joined: then these are, too, or the first shards would hold most of all records.
        if self._pieces and self._pieces[-1].planned + piece.planned <= self._piece_rows:
            piece = _join([self._pieces.pop(), piece])
        self._pieces.append(piece)
        self._join_neighbours()

    def _join_neighbours(self) -> None:
        if len(self._pieces) > self.MAX_PIECES:
            self._pieces = [_join(self._pieces[i : i + 2]) for i in range(0, len(self._pieces), 2)]
            self._piece_rows *= 2

    def cut(self) -> list[ShardRange]:
        """The shards, in order; none when there were no positions."""
        pieces = self._pieces + ([_piece(self._open, self._open_places)] if self._open else [])
        if not pieces:
            return []
        shards: list[ShardRange] = []
        taken, current = 0, list[ShardRange]()
        ends = self._ends(len(pieces))
        end = next(ends)
        for piece in pieces:
            current.append(piece)
            taken += piece.planned
            # Cut where the running total passes the next end.
            if taken >= end:
                shards.append(_join(current))
                current = []
                end = next(ends, self.records)
        return shards

    def _ends(self, pieces: int) -> Iterator[float]:
        """Running totals at which shards are to end, the last one at the end of all."""
        size = self.size
        full = -(-self.records // size.rows)
        small = min(size.parallelism, self.records // size.min_rows)
        before_full = size.parallelism * math.ceil(math.log2(size.rows / size.min_rows))
        if size.grows and full + before_full < size.max_shards:
            yield from self._growing_ends()
            return
        wanted = max(full, small, 1)
        if size.tapers and wanted >= size.parallelism:
            rounds = math.ceil(wanted / size.parallelism)
            fits = (rounds - 1 + len(_LAST_ROUND)) * size.parallelism <= size.max_shards
            rows = self.records / (rounds * size.parallelism)
            if fits and rows * min(_LAST_ROUND) >= _WORTH_TAPERING * size.min_rows:
                yield from self._tapered_ends(rounds)
                return
            if rounds * size.parallelism <= size.max_shards and rows >= size.min_rows:
                wanted = rounds * size.parallelism
        wanted = min(wanted, size.max_shards, pieces)
        for number in range(1, wanted + 1):
            yield self.records * number / wanted

    def _tapered_ends(self, rounds: int) -> Iterator[float]:
        """Rounds of even shards, one for each process; the last round in parts."""
        done = 0.0
        for part in [1.0] * (rounds - 1) + list(_LAST_ROUND):
            for _ in range(self.size.parallelism):
                done += part
                yield self.records * done / (rounds * self.size.parallelism)

    def _growing_ends(self) -> Iterator[float]:
        """Small ones for each process, then twice as large, and so on up to full ones."""
        end, rows = 0.0, float(self.size.min_rows)
        while True:
            for _ in range(self.size.parallelism):
                end += rows
                if self.records - end < rows / 2:  # what is left is not worth a shard
                    yield self.records
                    return
                yield end
            rows = min(rows * 2, self.size.rows)


def _piece(positions: Sequence[Position], places: Sequence[int]) -> ShardRange:
    return ShardRange(first=positions[0], last=positions[-1], planned=len(positions), places=(places[0], places[-1]))


def _join(pieces: Sequence[ShardRange]) -> ShardRange:
    first, last = pieces[0], pieces[-1]
    places = None if first.places is None or last.places is None else (first.places[0], last.places[1])
    planned = sum(piece.planned for piece in pieces)
    return ShardRange(first=first.first, last=last.last, planned=planned, places=places)
