"""The logs of attempts, as objects of an S3-compatible store."""

import json
import re
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from batchord.core.errors import ConfigurationError, DataError
from batchord.core.run.logs import AttemptName, LogLine, LogPart, PartName
from batchord.core.run.run_ids import first_run_id
from batchord.core.text.error_text import clause
from batchord.storage.objects import Objects, parse_s3

#: How many objects are read, and are in memory, at the same time. An object has about 64 KiB.
_AT_ONCE = 8
#: The most bytes of an object to read. A part has a limited size; Batchord has not written a far larger object.
_MOST_BYTES = 16 * 1024 * 1024
#: The most objects that one request may delete.
_DELETE = 1000
_TIME = "%Y%m%dT%H%M%S.%fZ"
_WHOLE = "step"
#: Names of folders that may be deleted. Everything else under the prefix stays.
_RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


class LogObjects:
    """Implements :class:`batchord.core.run.logs.LogStore`, with one object for each part.

    A name begins with the time of the part's first line, so names sort in the order in which the parts were written. If
    a part is sent twice, because the first answer was lost, it replaces itself. The store must list keys in their
    order, as Amazon's general purpose buckets do.
    """

    def __init__(self, objects: Objects, location: str) -> None:
        """``location``: ``s3://bucket/prefix``. Raises ConfigurationError for anything else."""
        self._objects = objects
        try:
            self._bucket, prefix = parse_s3(location)
        except ValueError as error:
            raise ConfigurationError(f"Logs cannot be stored there: {clause(error)}.") from error
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def append(self, part: LogPart) -> None:
        """See :class:`batchord.core.run.logs.LogStore`."""
        body = {"worker": part.worker, "lines": [line.to_json() for line in part.lines]}
        key = f"{self._prefix}{part.attempt.run_id}/{_name(part)}"
        self._objects.put(self._bucket, key, json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"))

    def read(
        self,
        run_id: str,
        *,
        step: str | None = None,
        shard: int | None = None,
        seen: Container[PartName] = frozenset(),
    ) -> Iterator[LogPart]:
        """See :class:`batchord.core.run.logs.LogStore`."""
        wanted = (
            name
            for name in self._names(run_id)
            if (step is None or (name.attempt.step == step and (shard is None or name.attempt.shard == shard)))
            and PartName(name.attempt, name.part) not in seen
        )
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="batchord-logs") as pool:
            while batch := list(islice(wanted, _AT_ONCE)):
                for part in pool.map(self._get, batch):
                    if part is not None:
                        yield part

    def tail(self, attempt: AttemptName, *, lines: int) -> list[LogLine]:
        """See :class:`batchord.core.run.logs.LogStore`."""
        names = [name for name in self._names(attempt.run_id) if name.attempt == attempt]
        found: list[LogLine] = []
        for name in sorted(names, key=lambda each: each.part, reverse=True):
            if len(found) >= lines:
                break
            part = self._get(name)
            found[:0] = [] if part is None else part.lines
        return found[-lines:]

    def attempts(self, run_id: str) -> set[AttemptName]:
        """See :class:`batchord.core.run.logs.LogStore`."""
        return {name.attempt for name in self._names(run_id)}

    def delete_before(self, moment: datetime) -> int:
        """See :class:`batchord.core.run.logs.LogStore`."""
        bound = first_run_id(moment)
        deleted = 0
        for folder in self._objects.folders(self._bucket, self._prefix):
            run_id = folder.removeprefix(self._prefix).rstrip("/")
            if not _RUN_ID.fullmatch(run_id):
                continue
            if run_id >= bound:
                break
            keys = (item.key for item in self._objects.iterate(self._bucket, folder))
            while batch := list(islice(keys, _DELETE)):
                self._objects.delete(self._bucket, batch)
                deleted += len(batch)
        return deleted

    def _names(self, run_id: str) -> "Iterator[_ObjectName]":
        folder = f"{self._prefix}{run_id}/"
        for item in self._objects.iterate(self._bucket, folder):
            name = _ObjectName.parsed(item.key.removeprefix(folder), run_id)
            if name is not None:
                yield name

    def _get(self, name: "_ObjectName") -> LogPart | None:
        try:
            data = self._objects.get(
                self._bucket, f"{self._prefix}{name.attempt.run_id}/{name.text}", max_bytes=_MOST_BYTES
            )
        except DataError as error:
            if error.reason == "missing-object":  # it was pruned after it was listed
                return None
            raise
        body = json.loads(data)
        lines = tuple(LogLine.from_json(line) for line in body["lines"])
        return LogPart(attempt=name.attempt, part=name.part, worker=body["worker"], lines=lines)


class _ObjectName(NamedTuple):
    """The name of an object, and what it says."""

    text: str
    attempt: AttemptName
    part: int

    @classmethod
    def parsed(cls, name: str, run_id: str) -> "_ObjectName | None":
        """The parsed name; None for an object that is not a part of a log."""
        _, _, rest = name.removesuffix(".json").partition("-")
        try:
            step, shard, attempt, part = rest.rsplit("-", 3)  # a step's name may contain a dash
            number = None if shard == _WHOLE else int(shard)
            return cls(name, AttemptName(run_id, step, number, int(attempt)), int(part))
        except ValueError:
            return None


def _name(part: LogPart) -> str:
    name = part.attempt
    time = part.lines[0].time.astimezone(UTC).strftime(_TIME)
    shard = _WHOLE if name.shard is None else f"{name.shard}"
    return f"{time}-{name.step}-{shard}-{name.attempt}-{part.part:06d}.json"
