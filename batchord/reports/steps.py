"""The steps and the shards of a run."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from batchord.core.run.runs import StepState, becomes_shards
from batchord.core.run.times import seconds_between
from batchord.output.masking import mask_known
from batchord.processes.local_names import plain_name


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """One step of a run."""

    name: str
    kind: str
    after: Sequence[str]
    join_rule: str
    state: str
    #: The number of the last attempt, which identifies its log.
    attempt: int
    queue: str | None
    worker: str | None
    #: Whether its end is from an earlier run, since the rerun did not repeat it.
    reused: bool
    started_at: datetime | None
    planned_at: datetime | None
    finished_at: datetime | None
    output: Mapping[str, Any] | None
    error: str | None
    #: How often it was executed, or planned. Programs count the attempts instead, so they do not get this field.
    executed: int

    @property
    def seconds(self) -> float | None:
        """Seconds from its first attempt to its end; None while it is not over."""
        return seconds_between(self.started_at, self.finished_at)

    @property
    def executed_times(self) -> str:
        """How often it was executed, for people. A Predict step is planned; the shards have attempts of their own."""
        return f"planned {self.executed}x" if becomes_shards(self.kind) else f"{self.executed}x"

    @property
    def waits_for_worker(self) -> bool:
        """Whether it is ready and no worker of its queue has taken it. A Predict step has no queue of its own."""
        ready = self.state == StepState.READY and self.attempt == 0
        return ready and bool(self.queue) and not becomes_shards(self.kind)

    @property
    def note(self) -> str:
        """A short note for people: its error, what it waits for, or its counts."""
        if self.error:
            return self.error
        if self.waits_for_worker:
            queue = shlex.quote(str(self.queue))
            return f"waits for a worker on queue {self.queue}: celery -A batchord.app worker -Q {queue}"
        counts = self.output or {}
        if becomes_shards(self.kind) and "predicted" in counts:
            return f"{counts['predicted']:,} predicted, {counts['rejected']:,} rejected"
        return ""

    @property
    def value(self) -> str:
        """The value that it hands on to later steps, as JSON without secrets; empty if there is none."""
        output = self.output or {}
        if becomes_shards(self.kind) or output.get("value") is None:
            return ""
        # Mask before anybody cuts it: half a secret cannot be recognised.
        return mask_known(json.dumps(output["value"], ensure_ascii=False))

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        fields = asdict(self)
        del fields["executed"]
        return fields


@dataclass(frozen=True, kw_only=True)
class ShardReport:
    """One shard of a Predict step."""

    step: str
    index: int
    state: str
    planned: int
    discovered: int
    predicted: int
    rejected: int
    attempt: int
    worker: str | None
    error: str | None
    timings: Mapping[str, Any] | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def worker_name(self) -> str | None:
        """The worker for people: its host and its pid."""
        return None if self.worker is None else plain_name(self.worker)
