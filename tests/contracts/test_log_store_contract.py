"""What every :class:`batchord.core.run.logs.LogStore` owes its callers: in memory, in the ledger and over S3."""

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from app.localstack import Servers
from batchord.core.run.logs import AttemptName, LogLine, LogPart, LogStore
from batchord.core.run.run_ids import first_run_id
from batchord.ledger.connection import Connections
from batchord.ledger.logs import LogTable
from batchord.storage.logs import LogObjects
from batchord.storage.objects import Objects
from tests.contracts.kept_logs import KeptLogs

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "ledger", "s3"])
def store(request: pytest.FixtureRequest) -> Iterator[LogStore]:
    """A store of each kind, empty."""
    if request.param == "memory":
        yield KeptLogs()
    elif request.param == "ledger":
        connections = Connections(request.getfixturevalue("database_url"))
        yield LogTable(connections)
        connections.close()
    else:
        servers: Servers = request.getfixturevalue("servers")
        assert servers.s3_access_key_id is not None
        assert servers.s3_secret_access_key is not None
        objects = Objects(
            endpoint_url=servers.s3_endpoint_url,
            access_key_id=SecretStr(servers.s3_access_key_id),
            secret_access_key=SecretStr(servers.s3_secret_access_key),
        )
        yield LogObjects(objects, f"s3://{request.getfixturevalue('bucket')}/some/logs/")


def run_id(opened: datetime = NOON) -> str:
    """An id of a run that was opened then."""
    return f"{first_run_id(opened)[:14]}7abc-8def-0123456789ab"


def part_of(name: AttemptName, part: int, *messages: str, seconds: float = 0) -> LogPart:
    """A part of a log whose first line was written so many seconds after noon."""
    lines = (
        LogLine(
            time=NOON + timedelta(seconds=seconds, milliseconds=number), level="INFO", source="stdout", message=text
        )
        for number, text in enumerate(messages or ("a line",))
    )
    return LogPart(attempt=name, part=part, worker="host:1", lines=tuple(lines))


RUN = run_id()
SHARD = AttemptName(RUN, "score", 3, 1)
WHOLE = AttemptName(RUN, "score", None, 1)
DASHED = AttemptName(RUN, "score-2", 3, 2)


def test_a_part_is_read_as_it_was_appended(store: LogStore) -> None:
    """Every field, any text, times to the microsecond."""
    line = LogLine(
        time=NOON + timedelta(microseconds=123_457),
        level="ERROR",
        source="my.module",
        message='Traceback:\n  "ümlaut" \\u0000 \x1b[31m 😀',
    )
    part = LogPart(attempt=DASHED, part=7, worker="host-1.example:4711", lines=(line, line))

    store.append(part)

    assert list(store.read(RUN)) == [part]


def test_parts_come_in_the_order_in_which_they_were_kept(store: LogStore) -> None:
    """Whichever shard and attempt they are of, also when they began at the same moment."""
    parts = [
        part_of(SHARD, 0, seconds=0),
        part_of(WHOLE, 0, seconds=1),
        part_of(SHARD, 1, seconds=2),
        *(part_of(SHARD, number, seconds=3) for number in range(2, 12)),
        part_of(DASHED, 0, seconds=4),
    ]

    for part in parts:
        store.append(part)

    assert list(store.read(RUN)) == parts


def test_a_step_or_a_shard_is_read_alone(store: LogStore) -> None:
    """A step with all its shards; a shard of one step, with all its attempts; without a step the whole run."""
    again = SHARD._replace(attempt=2)
    parts = [part_of(name, 0, seconds=number) for number, name in enumerate((SHARD, WHOLE, DASHED, again))]
    for part in parts:
        store.append(part)

    def names(step: str | None = None, shard: int | None = None) -> list[AttemptName]:
        return [part.attempt for part in store.read(RUN, step=step, shard=shard)]

    assert names("score") == [SHARD, WHOLE, again]
    assert names("score", 3) == [SHARD, again]
    assert names("score-2", 3) == [DASHED]
    assert names("score", 4) == names("scor") == []
    assert names(None, 3) == [SHARD, WHOLE, DASHED, again]


def test_a_part_that_is_sent_twice_is_kept_once(store: LogStore) -> None:
    """The answer to the first was lost."""
    part = part_of(SHARD, 0)

    store.append(part)
    store.append(part_of(SHARD, 1, seconds=1))
    store.append(part)

    assert [kept.part for kept in store.read(RUN)] == [0, 1]


def test_a_run_without_lines_has_no_log(store: LogStore) -> None:
    """A run beside it has one."""
    store.append(part_of(SHARD, 0))

    assert list(store.read(run_id(NOON + timedelta(days=1)))) == []


def test_a_long_log_is_read_with_constant_memory(store: LogStore) -> None:
    """A terabyte of logs needs no terabyte of memory."""
    parts, size = 160, 60_000
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: store.append(part_of(SHARD, number, "x" * size, seconds=number)), range(parts)))

    tracemalloc.start()
    try:
        read = sum(len(part.lines[0].message) for part in store.read(RUN))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert read == parts * size
    assert peak < parts * size / 2


def test_logs_of_old_runs_are_deleted(store: LogStore) -> None:
    """By the time at which the run was opened; a run of the very moment stays."""
    opened = [NOON - timedelta(days=400), NOON - timedelta(milliseconds=1), NOON, NOON + timedelta(days=1)]
    for moment in opened:
        for number in range(3):
            store.append(part_of(AttemptName(run_id(moment), "score", None, 1), number, seconds=number))

    assert store.delete_before(NOON) == 6
    assert [len(list(store.read(run_id(moment)))) for moment in opened] == [0, 0, 3, 3]
    assert store.delete_before(NOON) == 0


def test_more_is_deleted_than_goes_at_once(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores delete a thousand at a time; here ten, which is faster to fill."""
    for module in ("batchord.ledger.logs", "batchord.storage.logs"):
        monkeypatch.setattr(f"{module}._DELETE", 10)
    for number in range(23):
        store.append(part_of(SHARD, number))

    assert store.delete_before(NOON + timedelta(seconds=1)) == 23
    assert list(store.read(RUN)) == []


def test_a_moment_without_a_time_zone_is_refused(store: LogStore) -> None:
    """Hours of logs would depend on where it runs."""
    with pytest.raises(ValueError, match="time zone"):
        store.delete_before(NOON.replace(tzinfo=None))


def test_the_last_lines_of_an_attempt_come_in_order(store: LogStore) -> None:
    """Of that attempt alone, however many parts they are in."""
    for number in range(4):
        store.append(part_of(SHARD, number, f"{number}a", f"{number}b", seconds=number))
    store.append(part_of(WHOLE, 0, "of the step", seconds=9))

    assert [line.message for line in store.tail(SHARD, lines=3)] == ["2b", "3a", "3b"]
    assert [line.message for line in store.tail(WHOLE, lines=3)] == ["of the step"]
    assert len(store.tail(SHARD, lines=100)) == 8
    assert store.tail(DASHED, lines=3) == []


def test_it_tells_which_attempts_have_a_log(store: LogStore) -> None:
    """Each once, and those of this run alone."""
    other = AttemptName(run_id(NOON + timedelta(days=1)), "score", 3, 1)
    for part in (part_of(SHARD, 0), part_of(SHARD, 1), part_of(WHOLE, 0), part_of(DASHED, 0), part_of(other, 0)):
        store.append(part)

    assert store.attempts(RUN) == {SHARD, WHOLE, DASHED}
