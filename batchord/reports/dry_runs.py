"""What a dry run found: the frame that the model gets, the predictions, the rejections, and the author's error."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from batchord.core.run.failures import Failure
from batchord.core.run.hints import hint_of
from batchord.core.run.records import record_key
from batchord.core.text.error_text import message_of
from batchord.flow.attempt.failure import columns_of
from batchord.flow.begin.dry_run import DryRun
from batchord.flow.predict.levels import name_of_index
from batchord.output.masking import mask
from batchord.reports.failures import try_command

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class DryPrediction:
    """The prediction of one record."""

    key: str
    label: str | None
    score: float | None
    output: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class DryRejection:
    """A record that cannot be predicted."""

    key: str
    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class DryRunReport:
    """The answer to: what would a step do with these records?"""

    pipeline: str
    step: str
    model_version: str | None
    #: How the records were chosen, for people.
    chosen: str
    #: Records that the source gave.
    records: int
    #: Records that the model got.
    given: int
    #: The columns of the frame that the model got, and their types.
    columns: Mapping[str, str]
    predictions: Sequence[DryPrediction]
    rejections: Sequence[DryRejection]
    failure: Failure | None
    #: Why the dry run ended early; None if it came to its end.
    error: str | None
    #: Seconds: ``load``, ``read``, ``predict``.
    seconds: Mapping[str, float]
    #: What a person should know besides, one sentence each.
    warnings: Sequence[str]
    #: The name of the frame's index, and for each column the value of the newest record: for people.
    index: str = "key"
    examples: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether the model predicted or rejected all records without raising an error."""
        return self.error is None and self.failure is None

    @property
    def is_told_by_traceback(self) -> bool:
        """Whether the traceback of the failure ends with the error itself, so that it need not be shown twice."""
        return self.failure is not None and self.error == self.failure.error

    @property
    def next_steps(self) -> Sequence[str]:
        """What a person does next: one sentence each; empty if the model raised for no record."""
        if self.failure is None or self.failure.key is None:
            return ()
        command = try_command(self.pipeline, self.step, self.failure.key)
        hint = hint_of(self.failure, index=self.index)
        again = f"Correct the code, then `{command}` tries this record again."
        return (again,) if hint is None else (hint, again)

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        values = asdict(self)
        del values["index"], values["examples"]
        return values


def report_of(tried: DryRun) -> DryRunReport:
    """The report of a dry run. The newest records come first."""
    place = {record_key(key): number for number, key in enumerate(tried.keys)}
    predictions = [
        DryPrediction(key=record_key(key), label=label, score=score, output=output)
        for batch in tried.batches
        for key, label, score, output in zip(
            batch.predictions.keys,
            batch.predictions.labels,
            batch.predictions.scores,
            batch.predictions.outputs,
            strict=True,
        )
    ]
    rejections = [
        DryRejection(key=record_key(each.key), reason=each.reason, detail=mask(each.detail))
        for each in tried.rejections
    ]
    frame = newest_given(tried)
    return DryRunReport(
        pipeline=tried.pipeline,
        step=tried.step,
        model_version=tried.model_version,
        chosen=tried.chosen,
        records=len(tried.keys),
        given=sum(len(given) for given in tried.given),
        columns={} if frame is None else columns_of(frame),
        predictions=sorted(predictions, key=lambda each: place.get(each.key, len(place))),
        rejections=sorted(rejections, key=lambda each: place.get(each.key, len(place))),
        failure=tried.failure,
        error=None if tried.error is None else mask(message_of(tried.error)),
        warnings=tried.warnings,
        seconds={name: round(value, 4) for name, value in vars(tried.seconds).items()},
        index="key" if frame is None else name_of_index(frame),
        examples={} if frame is None or not len(frame) else _examples(frame, tried),
    )


def newest_given(tried: DryRun) -> "pd.DataFrame | None":
    """The frame of the call that holds the newest record that the model got; None if it got no frame."""
    frames = [frame for frame in tried.given if len(frame.columns)] or tried.given
    for key in tried.keys:
        for frame in frames:
            if key in frame.index:
                return frame
    return frames[0] if frames else None


def _examples(frame: "pd.DataFrame", tried: DryRun) -> dict[str, str]:
    newest = next((key for key in tried.keys if key in frame.index), frame.index[0])
    row = frame.iloc[list(frame.index).index(newest)]
    return {str(name): shown_value(value) for name, value in row.items()}


def shown_value(value: Any) -> str:
    """A value of a frame as a text. A picture is shown by its size."""
    size = getattr(value, "size", None)
    if isinstance(size, tuple) and hasattr(value, "mode"):  # a PIL image; importing PIL for this would cost more
        return f"picture, {size[0]} x {size[1]}"
    return str(value)
