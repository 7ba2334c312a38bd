"""Logs in memory: the fake that flow's tests use, under the same contract as the real stores."""

import threading
from collections.abc import Container, Iterator
from datetime import datetime

from batchord.core.run.logs import AttemptName, LogLine, LogPart, PartName
from batchord.core.run.run_ids import first_run_id


class KeptLogs:
    """A store in memory; ``fail_with`` is raised by each call until it is None again."""

    def __init__(self) -> None:
        self.parts: list[LogPart] = []
        self.fail_with: Exception | None = None
        self.calls = 0
        self._lock = threading.Lock()

    def append(self, part: LogPart) -> None:
        """See the protocol."""
        with self._lock:
            self.calls += 1
            self._answer()
            if all((kept.attempt, kept.part) != (part.attempt, part.part) for kept in self.parts):
                self.parts.append(part)

    def read(
        self,
        run_id: str,
        *,
        step: str | None = None,
        shard: int | None = None,
        seen: Container[PartName] = frozenset(),
    ) -> Iterator[LogPart]:
        """See the protocol."""
        self._answer()
        for part in list(self.parts):
            name = part.attempt
            if (
                name.run_id == run_id
                and (step is None or (name.step == step and shard in (None, name.shard)))
                and part.name not in seen
            ):
                yield part

    def tail(self, attempt: AttemptName, *, lines: int) -> list[LogLine]:
        """See the protocol."""
        self._answer()
        own = sorted((part for part in self.parts if part.attempt == attempt), key=lambda part: part.part)
        return [line for part in own for line in part.lines][-lines:]

    def attempts(self, run_id: str) -> set[AttemptName]:
        """See the protocol."""
        self._answer()
        return {part.attempt for part in self.parts if part.attempt.run_id == run_id}

    def delete_before(self, moment: datetime) -> int:
        """See the protocol."""
        self._answer()
        before, bound = len(self.parts), first_run_id(moment)
        self.parts = [part for part in self.parts if part.attempt.run_id >= bound]
        return before - len(self.parts)

    def messages(self) -> list[str]:
        """What was kept, in order."""
        return [line.message for part in list(self.parts) for line in part.lines]

    def _answer(self) -> None:
        if self.fail_with is not None:
            raise self.fail_with
