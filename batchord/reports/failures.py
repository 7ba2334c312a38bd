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

    def next_steps(self, pipeline: str) -> Sequence[str]:
        """What a person does next: one sentence each."""
        hint = hint_of(self.first)
        steps = [] if self.first.key is None else model_error_steps(pipeline, self.step, self.first.key)
        return [*([] if hint is None else [hint]), *steps]


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
            step=step, first=alike[0][1], shard=alike[0][0].shard, attempt=alike[0][0].attempt, attempts=len(alike)
        )
        for (step, _, _), alike in groups.items()
    ]


def model_error_steps(pipeline: str, step: str, key: str) -> Sequence[str]:
    """What a person does about a record for which the model raised: one sentence each."""
    return (
        f"`{try_command(pipeline, step, key)}` tries this record and shows the traceback.",
        f"After a fix, `batchord retry {shlex.quote(pipeline)}` predicts rejected records again.",
    )


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
