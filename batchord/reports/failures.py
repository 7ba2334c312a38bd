"""The errors of the author's code in a run, and what to do about them."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batchord.core.reasons import Reason
from batchord.core.run.failures import Failure
from batchord.core.run.hints import hint_of
from batchord.reports.attempts import AttemptReport
from batchord.reports.rejections import RejectionReport

#: The name of the step in the short form of a pipeline.
_ONLY_STEP = "predict"
#: How attempts end: as the last one, or well.
_FAILED, _DONE = "failed", "done"


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """Failures of one step at the same line of the author's code."""

    step: str
    #: The earliest.
    first: Failure
    #: The attempt of the earliest; ``shard`` is None for a step as a whole.
    shard: int | None
    attempt: int
    #: In how many attempts the author's code failed there.
    attempts: int
    #: Whether one of these attempts ended its shard or its step as failed.
    is_final: bool = False
    #: Whether one of these attempts ended well, so that the records for which the model raised are rejected.
    has_rejected: bool = False

    def next_steps(self, pipeline: str, run: str) -> Sequence[str]:
        """What a person does next: one sentence each. ``run``: the run's id as people write it."""
        hint = hint_of(self.first)
        hints = () if hint is None else (hint,)
        tries = () if self.first.key is None else (_try_sentence(pipeline, self.step, self.first.key),)
        retries = (_retry_sentence(pipeline),) if self.first.key is not None and self.has_rejected else ()
        return (*hints, *tries, *retries, *(self._repeats(run) if self.is_final else ()))

    def _repeats(self, run: str) -> Sequence[str]:
        if self.shard is None:
            return (f"After a fix, `batchord rerun {run} --failed` repeats the failed steps.",)
        return (
            "The records of a failed shard are pending, not rejected.",
            f"After a fix, the next run takes them; `batchord rerun {run} --failed` does now, also in a past window.",
        )


def failure_groups(attempts: Iterable[AttemptReport]) -> list[FailureGroup]:
    """The failures of a run's attempts, the earliest first. Those at the same line are one group."""
    groups: dict[tuple[str, str | None, str], list[tuple[AttemptReport, Failure]]] = {}
    for attempt in attempts:
        if attempt.failure is not None:
            failure = Failure.from_json(attempt.failure)
            kind = failure.error.partition(":")[0]
            groups.setdefault((attempt.step, failure.place, kind), []).append((attempt, failure))
    return [
        FailureGroup(
            step=step,
            first=alike[0][1],
            shard=alike[0][0].shard,
            attempt=alike[0][0].attempt,
            attempts=len(alike),
            is_final=any(attempt.state == _FAILED for attempt, _ in alike),
            has_rejected=any(attempt.state == _DONE for attempt, _ in alike),
        )
        for (step, _, _), alike in groups.items()
    ]


def model_error_steps(pipeline: str, step: str, key: str) -> Sequence[str]:
    """What a person does about a rejected record for which the model raised: one sentence each."""
    return _try_sentence(pipeline, step, key), _retry_sentence(pipeline)


def _try_sentence(pipeline: str, step: str, key: str) -> str:
    return f"`{try_command(pipeline, step, key)}` tries this record and shows the traceback."


def _retry_sentence(pipeline: str) -> str:
    return f"After a fix, `batchord retry {shlex.quote(pipeline)}` predicts rejected records again."


def try_command(pipeline: str, step: str, key: str) -> str:
    """The command that tries one record."""
    only = "" if step == _ONLY_STEP else f" --step {shlex.quote(step)}"
    return f"batchord try {shlex.quote(pipeline)}{only} --key {shlex.quote(key)}"


def rejection_steps(rejections: Iterable[RejectionReport]) -> Sequence[str]:
    """The same for the first of these rejections for which a model raised; empty if there is none."""
    for each in rejections:
        if each.reason == Reason.MODEL_ERROR:
            return model_error_steps(each.pipeline, each.step, each.key)
    return ()
