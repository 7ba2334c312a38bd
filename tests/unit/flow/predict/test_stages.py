"""Reading ahead and writing behind: bounded, in order, and honest about errors. No test waits for a clock."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from batchord.flow.predict.stages import WriteBehind, read_ahead
from tests.waiting import wait_until


class Boom(Exception):
    """What goes wrong."""


def test_items_come_in_order() -> None:
    """All of them, whatever the depth."""
    with read_ahead(iter(range(100)), depth=3) as items:
        assert list(items) == list(range(100))


def test_reading_stays_a_bounded_number_of_items_ahead() -> None:
    """Two in the queue and one in hand: memory does not grow while the model is busy."""
    produced: list[int] = []

    def produce() -> Iterator[int]:
        for number in range(50):
            produced.append(number)
            yield number

    with read_ahead(produce(), depth=2) as items:
        next(items)
        wait_until(lambda: len(produced) == 4, description="the reader fills its queue")
        next(items)
        wait_until(lambda: len(produced) == 5, description="one more for each that is taken")

    assert len(produced) == 5


def test_reading_overlaps_with_the_work_on_what_was_read() -> None:
    """The second item is fetched while the first is worked on."""
    fetched_second = threading.Event()

    def produce() -> Iterator[int]:
        yield 1
        fetched_second.set()
        yield 2

    with read_ahead(produce(), depth=1) as items:
        next(items)
        assert fetched_second.wait(10)


def test_an_error_of_the_source_is_raised_after_what_came_before_it() -> None:
    """In the reader's thread, as itself."""

    def produce() -> Iterator[int]:
        yield 1
        yield 2
        raise Boom("gone")

    seen: list[int] = []
    with pytest.raises(Boom, match="gone"), read_ahead(produce(), depth=1) as items:
        seen.extend(items)

    assert seen == [1, 2]


def test_an_early_exit_closes_the_generator_in_the_thread_that_ran_it() -> None:
    """A database cursor belongs to one thread; nothing of it is left when the block ends."""
    threads: dict[str, int] = {}

    def produce() -> Iterator[int]:
        threads["ran"] = threading.get_ident()
        try:
            yield from range(1000)
        finally:
            threads["closed"] = threading.get_ident()

    with read_ahead(produce(), depth=1) as items:
        next(items)

    assert threads["closed"] == threads["ran"] != threading.get_ident()


def test_an_error_of_the_block_stops_the_reader_and_is_raised_itself() -> None:
    """The reader's own error is not raised, and no thread is left."""
    before = threading.active_count()

    def work() -> None:
        with read_ahead(range(1000), depth=1) as items:
            next(items)
            raise Boom("model")

    with pytest.raises(Boom, match="model"):
        work()

    assert threading.active_count() == before


def test_a_source_without_items_ends_at_once() -> None:
    """A list is as good as a generator."""
    nothing: list[int] = []

    with read_ahead(nothing, depth=1) as items:
        assert list(items) == []


def test_everything_is_written_in_order_when_the_block_ends() -> None:
    """In one thread of its own."""
    written: list[int] = []
    threads: set[int] = set()

    def write(item: int) -> None:
        written.append(item)
        threads.add(threading.get_ident())

    with WriteBehind(write, depth=2) as writer:
        for number in range(50):
            writer.put(number)

    assert written == list(range(50))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_writing_stays_a_bounded_number_of_items_behind() -> None:
    """One in hand and two in the queue; the next put waits, and goes on when the writer does."""
    release, third_put, fourth_put = threading.Event(), threading.Event(), threading.Event()

    def write(_: int) -> None:
        assert release.wait(10)

    def fill(writer: WriteBehind[int]) -> None:
        for number in range(3):
            writer.put(number)
        third_put.set()
        writer.put(3)
        fourth_put.set()

    with WriteBehind(write, depth=2) as writer:
        filler = threading.Thread(target=fill, args=[writer])
        filler.start()
        assert third_put.wait(10)
        # One is in hand and two fill the queue: nothing but the writer can make room.
        assert not fourth_put.is_set()
        release.set()
        assert fourth_put.wait(10)
        filler.join()


def test_an_error_of_the_writer_stops_the_putter_and_nothing_is_written_after_it() -> None:
    """A batch after a lost lease must not be written, even if it was predicted already."""
    written: list[int] = []
    failed = threading.Event()

    def write(item: int) -> None:
        if item == 2:
            failed.set()
            raise Boom("lease lost")
        written.append(item)

    def put_all() -> None:
        with WriteBehind(write, depth=1) as writer:
            for number in range(1000):
                writer.put(number)

    with pytest.raises(Boom, match="lease lost"):
        put_all()

    assert failed.is_set()
    assert written == [0, 1]


def test_an_error_in_the_last_write_is_raised_at_the_end_of_the_block() -> None:
    """A shard whose last batch was not written must not count as done."""

    def write(_: int) -> None:
        raise Boom("last")

    with pytest.raises(Boom, match="last"), WriteBehind(write, depth=3) as writer:
        writer.put(1)


def test_what_was_put_before_an_error_of_the_block_is_written() -> None:
    """It was predicted, so it is worth keeping; and the block's own error is the one that is raised."""
    written: list[int] = []

    def work() -> None:
        with WriteBehind(written.append, depth=5) as writer:
            for number in range(4):
                writer.put(number)
            raise Boom("model")

    with pytest.raises(Boom, match="model"):
        work()

    assert written == [0, 1, 2, 3]


def test_the_blocks_error_wins_over_the_writers() -> None:
    """The first cause is what a person has to read."""
    tried = threading.Event()

    def write(_: int) -> None:
        tried.set()
        raise Boom("write")

    def work() -> None:
        with WriteBehind(write, depth=5) as writer:
            writer.put(1)
            assert tried.wait(10)
            raise Boom("model")

    with pytest.raises(Boom, match="model"):
        work()


def test_a_shard_flows_through_both_stages() -> None:
    """Reader, model and writer at once: all three are at work on different items."""
    meeting = threading.Barrier(3, timeout=10)
    written: list[Any] = []

    def fetch() -> Iterator[int]:
        for number in range(5):
            if number == 2:
                meeting.wait()
            yield number

    def write(item: int) -> None:
        if item == 0:
            meeting.wait()
        written.append(item)

    with WriteBehind(write, depth=2) as writer, read_ahead(fetch(), depth=1) as items:
        for item in items:
            if item == 1:
                meeting.wait()
            writer.put(item)

    assert written == [0, 1, 2, 3, 4]
