"""Shards are even, complete and in order, for any number of positions."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchord.core.run.records import Position
from batchord.core.run.shards import ShardCutter, ShardRange, ShardSize


@st.composite
def _sizes(draw: st.DrawFn) -> ShardSize:
    rows = draw(st.integers(1, 300))
    return ShardSize(
        rows=rows,
        min_rows=draw(st.integers(1, rows)),
        parallelism=draw(st.integers(1, 20)),
        max_shards=draw(st.integers(1, 40)),
    )


def _positions(start: int, count: int) -> list[Position]:
    # Every third number: a range is made of positions, not of all numbers between its ends.
    return [Position(arrival=None, key=3 * number) for number in range(start, start + count)]


def _add(cutter: ShardCutter, count: int) -> None:
    """The next positions, none of which was left out."""
    start = cutter.records
    cutter.add(_positions(start, count), range(start, start + count))


def _number(position: Position) -> int:
    assert isinstance(position.key, int)
    return position.key // 3


def _cut(size: ShardSize, chunks: list[int]) -> tuple[list[ShardRange], int]:
    """Feeds chunks as the plan does, at most as many as there is room for."""
    cutter = ShardCutter(size)
    for chunk in chunks:
        _add(cutter, min(chunk, cutter.room))
    return cutter.cut(), cutter.records


def _piece(size: ShardSize, records: int) -> int:
    """Records in the cutter's pieces: half of ``min_rows``, and more where it must not hold so many pieces."""
    rows = max(1, size.min_rows // 2)
    while records > rows * ShardCutter.MAX_PIECES:
        rows *= 2
    return rows


@given(_sizes(), st.lists(st.integers(0, 700), max_size=12))
def test_shards_cover_every_position_once_and_in_order(size: ShardSize, chunks: list[int]) -> None:
    """The first begins at the first position, each goes on where the one before ended, the last ends at the last."""
    shards, records = _cut(size, chunks)

    at = 0
    for shard in shards:
        assert _number(shard.first) == at
        assert _number(shard.last) == at + shard.planned - 1
        at += shard.planned
    assert at == records


@given(_sizes(), st.lists(st.integers(0, 700), max_size=12))
# One record more than the cutter holds pieces of one.
@example(ShardSize(rows=179, min_rows=1, parallelism=1, max_shards=23), [597, *[700] * 5])
def test_no_run_has_more_shards_and_no_shard_more_rows_than_it_may(size: ShardSize, chunks: list[int]) -> None:
    """A shard may exceed ``rows`` by less than one piece."""
    shards, records = _cut(size, chunks)

    assert len(shards) <= size.max_shards
    assert all(1 <= shard.planned < size.rows + _piece(size, records) for shard in shards)


@given(_sizes(), st.integers(1, 12_000))
def test_a_small_backlog_is_spread_over_the_cores_but_not_too_thinly(size: ShardSize, records: int) -> None:
    """As many shards as there are cores, unless they would hold fewer than ``min_rows`` each."""
    records = min(records, size.rows * size.max_shards)
    shards, _ = _cut(size, [records])

    needed = -(-records // size.rows)
    worthwhile = max(1, records // size.min_rows)
    assert len(shards) >= min(needed, size.max_shards)
    assert len(shards) == min(max(needed, min(size.parallelism, worthwhile)), size.max_shards)
    if len(shards) > needed:
        assert all(2 * shard.planned >= size.min_rows for shard in shards)


@given(_sizes(), st.integers(1, 5000))
# The pieces are one too many in the middle of a chunk, and their number is odd at its end.
@example(ShardSize(rows=107, min_rows=1, parallelism=1, max_shards=40), 4277)
def test_chunks_make_no_difference(size: ShardSize, records: int) -> None:
    """How positions arrive is the reader's business."""
    at_once, _ = _cut(size, [records])
    in_chunks, _ = _cut(size, [97] * (records // 97) + [records % 97])

    assert at_once == in_chunks


def test_nothing_becomes_no_shard() -> None:
    """A run without new records has nothing to send."""
    assert ShardCutter(ShardSize(rows=10, min_rows=1, parallelism=4, max_shards=5)).cut() == []


def test_an_even_backlog_is_cut_evenly() -> None:
    """The usual case in figures: 4 cores, 10,000 records, shards of at most 20,000."""
    shards, _ = _cut(ShardSize(rows=20_000, min_rows=1000, parallelism=4, max_shards=1000), [10_000])

    assert [shard.planned for shard in shards] == [2500, 2500, 2500, 2500]


@pytest.mark.parametrize(
    ("records", "shards"), [(1, 1), (999, 1), (1999, 1), (2000, 2), (3999, 3), (4000, 4), (80_000, 4)]
)
def test_more_records_are_worth_more_tasks(records: int, shards: int) -> None:
    """One shard for each ``min_rows`` records, up to the cores in use, then only when they are full."""
    size = ShardSize(rows=20_000, min_rows=1000, parallelism=4, max_shards=1000)

    assert len(_cut(size, [records])[0]) == shards


def test_a_run_has_room_for_full_shards_only() -> None:
    """What does not fit is left to a follow-up run."""
    cutter = ShardCutter(ShardSize(rows=10, min_rows=1, parallelism=1, max_shards=3))
    assert cutter.room == 30

    _add(cutter, 30)

    assert cutter.room == 0
    assert [shard.planned for shard in cutter.cut()] == [10, 10, 10]


@settings(max_examples=5)
@given(st.integers(1, 3), st.sampled_from([1, 999, 10_000]), st.integers(100_000, 200_000))
def test_memory_does_not_grow_with_the_backlog(min_rows: int, chunk: int, records: int) -> None:
    """Never more pieces than MAX_PIECES, and shards within half a shard of even."""
    records = min(records, 20_000) if chunk == 1 else records
    size = ShardSize(rows=max(1, -(-records // 1000)), min_rows=min_rows, parallelism=2, max_shards=1000)
    cutter = ShardCutter(size)

    while cutter.records < records:
        _add(cutter, min(chunk, records - cutter.records))
        assert len(cutter._pieces) <= cutter.MAX_PIECES  # noqa: SLF001 -- memory has no other outside

    shards = cutter.cut()
    assert sum(shard.planned for shard in shards) == records
    assert len(shards) <= 1000
    assert max(shard.planned for shard in shards) <= 1.5 * size.rows + 2


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize(("rows", "min_rows", "records"), [(1024, 64, 1_000_000), (15_000, 500, 14_000_000)])
def test_pieces_that_were_cut_elsewhere_become_even_shards(
    rows: int, min_rows: int, records: int, *, grows: bool
) -> None:
    """However many there are: the first ones are joined again and again, and so are those that come later."""
    size = ShardSize(rows=rows, min_rows=min_rows, parallelism=2, max_shards=1000, grows=grows)
    cutter = ShardCutter(size)
    for start in range(0, records, cutter.piece_rows):
        end = min(start + cutter.piece_rows, records)
        first, last = (Position(arrival=None, key=key) for key in (start, end - 1))
        cutter.add_piece(ShardRange(first=first, last=last, planned=end - start, places=(start, end - 1)))
        assert len(cutter._pieces) <= cutter.MAX_PIECES  # noqa: SLF001 -- memory has no other outside

    shards = cutter.cut()

    assert sum(shard.planned for shard in shards) == records
    assert len(shards) <= 1000
    assert max(shard.planned for shard in shards) <= 1.5 * rows
    assert all(shard.dense for shard in shards)


@pytest.mark.parametrize(("way", "most"), [({"grows": True}, 1.5), ({"tapers": True}, 1.0)])
@given(_sizes(), st.lists(st.integers(0, 700), max_size=12))
def test_uneven_shards_cover_every_position_once_and_in_order(
    way: dict[str, bool], most: float, size: ShardSize, chunks: list[int]
) -> None:
    """Within the same limits as even ones, but for the last of those that grow."""
    size = replace(size, **way)  # type: ignore[arg-type]  # mypy takes each field for any of them
    shards, records = _cut(size, chunks)

    assert sum(shard.planned for shard in shards) == records
    assert all(_number(next_.first) == _number(before.last) + 1 for before, next_ in pairwise(shards))
    assert len(shards) <= size.max_shards
    assert all(1 <= shard.planned < most * size.rows + _piece(size, records) for shard in shards)


def test_the_first_shards_of_an_unknown_model_are_small() -> None:
    """Each process takes one, then one of twice the size."""
    size = ShardSize(rows=1000, min_rows=100, parallelism=2, max_shards=1000, grows=True)

    assert [shard.planned for shard in _cut(size, [5000])[0]] == [100, 100, 200, 200, 400, 400, 800, 800, 1000, 1000]


@pytest.mark.parametrize(
    ("records", "shards"),
    [
        (5000, [835, 835, 830, 835, 415, 420, 205, 210, 210, 205]),  # five full ones leave a process without work
        (2000, [500, 500, 250, 250, 250, 250]),
        (200, [100, 100]),  # no part so small that its task costs more than it saves
        (50, [25, 25]),
        (19, [19]),
    ],
)
def test_the_last_shards_of_a_known_model_are_small(records: int, shards: list[int]) -> None:
    """Each process takes whole rounds, the last one in parts, to within a piece."""
    size = ShardSize(rows=1000, min_rows=10, parallelism=2, max_shards=1000, tapers=True)

    assert [shard.planned for shard in _cut(size, [records])[0]] == shards


def test_a_shard_is_dense_when_nothing_was_left_out_between_its_ends() -> None:
    """Records that are accounted for have places, too."""
    cutter = ShardCutter(ShardSize(rows=2, min_rows=2, parallelism=1, max_shards=10))
    _add(cutter, 2)
    cutter.add(_positions(2, 4), [2, 3, 5, 6])
    cutter.add_piece(ShardRange(first=_positions(9, 1)[0], last=_positions(10, 1)[0], planned=1, places=(9, 10)))

    assert [(shard.planned, shard.dense) for shard in cutter.cut()] == [(2, True), (2, True), (2, True), (1, False)]
