"""Shards: ranges of positions, cut while positions stream by."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.records import Position


@dataclass(frozen=True, kw_only=True)
class ShardRange:
    """The records from ``first`` to ``last``, both included, in arrival order."""

    first: Position
    last: Position
    #: Records in the range that had neither a prediction nor a rejection when the shard was planned.
    planned: int


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
        self._piece_rows = max(1, min(size.min_rows, size.rows) // 2)
        self._open: list[Position] = []

    @property
    def room(self) -> int:
        """Records that still fit into this run."""
        return self.size.rows * self.size.max_shards - self.records

    def add(self, positions: Sequence[Position]) -> None:
        """Takes the next positions; at most :attr:`room` of them."""
        self.records += len(positions)
        self._open.extend(positions)
        whole = len(self._open) - len(self._open) % self._piece_rows
        for start in range(0, whole, self._piece_rows):
            self._pieces.append(_piece(self._open[start : start + self._piece_rows]))
        del self._open[:whole]
        if len(self._pieces) > self.MAX_PIECES:
            self._pieces = [_join(self._pieces[i : i + 2]) for i in range(0, len(self._pieces), 2)]
            self._piece_rows *= 2

    def cut(self) -> list[ShardRange]:
        """The shards, in order; none when there were no positions."""
        pieces = self._pieces + ([_piece(self._open)] if self._open else [])
        if not pieces:
            return []
        size = self.size
        wanted = max(
            -(-self.records // size.rows),
            min(size.parallelism, self.records // size.min_rows),
            1,
        )
        wanted = min(wanted, size.max_shards, len(pieces))
        shards: list[ShardRange] = []
        taken, current = 0, list[ShardRange]()
        for piece in pieces:
            current.append(piece)
            taken += piece.planned
            # Cut where the running total passes the next even share.
            if taken * wanted >= self.records * (len(shards) + 1):
                shards.append(_join(current))
                current = []
        return shards


def _piece(positions: Sequence[Position]) -> ShardRange:
    return ShardRange(first=positions[0], last=positions[-1], planned=len(positions))


def _join(pieces: Sequence[ShardRange]) -> ShardRange:
    return ShardRange(first=pieces[0].first, last=pieces[-1].last, planned=sum(piece.planned for piece in pieces))
