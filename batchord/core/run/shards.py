"""Shards: ranges of positions, cut while the positions stream by."""

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
    #: The places of ``first`` and ``last`` among all records of the scan, accounted for or not. None: nobody counted.
    places: tuple[int, int] | None = None

    @property
    def dense(self) -> bool:
        """Whether all records between the ends were unaccounted for when the shard was planned."""
        return self.places is not None and self.places[1] - self.places[0] + 1 == self.planned


@dataclass(frozen=True, kw_only=True)
class ShardSize:
    """How large the shards of a run should be."""

    #: Records in a full shard.
    rows: int
    #: Records in the smallest shard that is worth a task of its own.
    min_rows: int
    #: How many shards to cut if the backlog is small, so that no core idles.
    parallelism: int
    #: The most shards of one run.
    max_shards: int
    #: Whether the first shards are small and later ones larger, because nobody knows yet how long a shard takes.
    grows: bool = False
    #: Whether to cut whole rounds, one shard for each process, and a last round of smaller shards. Then no process
    #: waits long for another process's last shard.
    tapers: bool = False


#: The parts that the last round of shards is cut into. Shards with equal numbers of records differ in their times by 10
#: to 20 percent, and so do processes. So at the end, a process waits for about that share of the last part.
_LAST_ROUND = (0.5, 0.25, 0.25)
#: The smallest part must have this many times the least rows of a shard: each shard begins and ends with some 50 ms in
#: which its process has nothing to compute.
_WORTH_TAPERING = 4


class ShardCutter:
    """Takes chunks of positions in ascending order. At the end it cuts them into even shards.

    The number of records is known only at the end, and memory must not grow with it. So the cutter keeps short pieces
    of the range (their ends and counts) and joins neighbours whenever it has too many pieces.
    """

    #: Four times the most shards of a run, so that joined pieces still allow nearly even shards.
    MAX_PIECES = 4096

    def __init__(self, size: ShardSize) -> None:
        self.size = size
        self.records = 0
        self._pieces: list[ShardRange] = []
        #: Records in a piece, for callers that cut pieces themselves.
        self.piece_rows = max(1, min(size.min_rows, size.rows) // 2)
        self._piece_rows = self.piece_rows
        self._open: list[Position] = []
        self._open_places: list[int] = []

    @property
    def room(self) -> int:
        """Records that still fit into this run."""
        return self.size.rows * self.size.max_shards - self.records

    def add(self, positions: Sequence[Position], places: Sequence[int]) -> None:
        """Takes the next positions, at most :attr:`room`.

        ``places``: their places among all records of the scan.
        """
        self.records += len(positions)
        self._open.extend(positions)
        self._open_places.extend(places)
        start = 0
        while (end := start + self._piece_rows) <= len(self._open):
            self._pieces.append(_piece(self._open[start:end], self._open_places[start:end]))
            start = end
            # Join now, not after the chunk: where shards end must not depend on the size of the chunks.
            self._join_neighbours()
        del self._open[:start], self._open_places[:start]

    def add_piece(self, piece: ShardRange) -> None:
        """Takes the next piece, which the caller has counted and which has at most :attr:`room` records."""
        self.records += piece.planned
        # If the pieces before were joined, this one must be joined, too. Otherwise the first shards would be largest.
        if self._pieces and self._pieces[-1].planned + piece.planned <= self._piece_rows:
            piece = _join([self._pieces.pop(), piece])
        self._pieces.append(piece)
        self._join_neighbours()

    def _join_neighbours(self) -> None:
        if len(self._pieces) > self.MAX_PIECES:
            self._pieces = [_join(self._pieces[i : i + 2]) for i in range(0, len(self._pieces), 2)]
            self._piece_rows *= 2

    def cut(self) -> list[ShardRange]:
        """The shards in their order; empty if there were no positions."""
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
            if taken >= end:
                shards.append(_join(current))
                current = []
                end = next(ends, self.records)
        return shards

    def _ends(self, pieces: int) -> Iterator[float]:
        """The running totals of records at which shards should end. The last one is the number of all records."""
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
        """Ends of rounds of even shards, one shard for each process. The last round is cut into parts."""
        done = 0.0
        for part in [1.0] * (rounds - 1) + list(_LAST_ROUND):
            for _ in range(self.size.parallelism):
                done += part
                yield self.records * done / (rounds * self.size.parallelism)

    def _growing_ends(self) -> Iterator[float]:
        """Ends of a small shard for each process, then of shards twice as large, and so on up to full shards."""
        end, rows = 0.0, float(self.size.min_rows)
        while True:
            for _ in range(self.size.parallelism):
                end += rows
                if self.records - end < rows / 2:  # the rest is not worth a shard of its own
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
