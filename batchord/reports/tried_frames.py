"""A dry run as a frame for a notebook, which shows pictures small and the error of the author's code."""

import base64
import html
import io
from typing import Any

import pandas as pd

from batchord.core.code.traces import trace_of
from batchord.core.run.hints import hint_of
from batchord.flow.begin.dry_run import DryRun
from batchord.flow.predict.levels import levels
from batchord.reports.dry_runs import DryRunReport, report_of

#: The columns that a dry run adds to those of the source.
RESULTS = ("label", "score", "output", "rejection")
#: The longest side of a picture in a notebook, in pixels.
_SIDE = 96
#: The most rows that a notebook shows, and the most characters of a value.
_MOST_ROWS, _MOST_VALUE = 60, 120


class TriedFrame(pd.DataFrame):
    """A frame of records with their predictions and rejections.

    Its ``attrs`` hold the columns that the model got, the seconds, the model's version, and the traceback of the first
    error of the author's code, if there was one.
    """

    @property
    def _constructor(self) -> type["TriedFrame"]:
        return TriedFrame

    def _repr_html_(self) -> str:
        """For IPython: pictures are small pictures, and the traceback stands below the table."""
        shown = pd.DataFrame(self.iloc[:_MOST_ROWS])
        cells = pd.DataFrame(
            {place: [_cell(value) for value in shown.iloc[:, place]] for place in range(len(shown.columns))},
            index=[_text(", ".join(map(str, key)) if isinstance(key, tuple) else key) for key in shown.index],
        )
        cells.columns = pd.Index([_text(name) for name in shown.columns])
        cells.index.name = _text(", ".join(str(name or "") for name in self.index.names))
        more = f"<p>{len(self) - _MOST_ROWS:,} more rows</p>" if len(self) > _MOST_ROWS else ""
        traceback = self.attrs.get("traceback")
        told = f"<pre>{html.escape(str(traceback))}</pre>" if traceback else ""
        with pd.option_context("display.max_colwidth", None):
            return f"{cells.to_html(escape=False)}{more}{told}"


def tried_frame(tried: DryRun) -> TriedFrame:
    """The records in the order of the dry run, indexed by key: what the source gave, then :data:`RESULTS`.

    A column of the source with the name of a result is called ``input_label`` and so on.
    """
    inputs = pd.concat(tried.fetched) if tried.fetched else pd.DataFrame()
    inputs = inputs.reindex(pd.Index(tried.keys, dtype=object, name=inputs.index.name))
    if tried.pictures is not None:
        loaded = {key: value for given in tried.given for key, value in _pictures(given, tried.pictures)}
        inputs[tried.pictures] = pd.Series(
            [loaded.get(key, value) for key, value in inputs[tried.pictures].items()], index=inputs.index, dtype=object
        )
    inputs = inputs.rename(columns={name: f"input_{name}" for name in RESULTS})
    columns: dict[str, list[Any]] = {name: [None] * len(tried.keys) for name in RESULTS}
    places = {key: place for place, key in enumerate(tried.keys)}
    for batch in tried.batches:
        done = batch.predictions
        for key, *values in zip(done.keys, done.labels, done.scores, done.outputs, strict=True):
            for name, value in zip(RESULTS, values, strict=False):
                columns[name][places[key]] = value
        for rejection in batch.rejections:
            columns["rejection"][places[rejection.key]] = f"{rejection.reason}: {rejection.detail}"
    results = pd.DataFrame(columns, index=inputs.index, dtype=object)
    results["score"] = results["score"].astype(float)
    frame = TriedFrame(pd.concat([inputs, results], axis=1))
    if isinstance(inputs.index.name, tuple):
        read = {key: key for part in tried.fetched for key in part.index}
        frame.index = levels([read.get(key, key) for key in tried.keys], inputs.index.name)
    frame.attrs.update(_attributes(report_of(tried)))
    return frame


def raised_by(tried: DryRun) -> BaseException:
    """The error to raise for a dry run that ended early: the author's own, from the author's first line on.

    A debugger then stands in the author's code.
    """
    assert tried.error is not None  # noqa: S101 -- the caller has asked
    if tried.raised is None:
        return tried.error
    trace = trace_of(tried.raised)
    error = trace.error.with_traceback(trace.start)
    if tried.failure is not None and tried.failure.key is not None:
        columns = ", ".join(f"{name} ({dtype})" for name, dtype in (tried.failure.columns or {}).items())
        error.add_note(f"Batchord: the model raised this for record {tried.failure.key}. Its frame has: {columns}.")
        if hint := hint_of(tried.failure):
            error.add_note(f"Batchord: {hint}")
    return error


def _attributes(report: DryRunReport) -> dict[str, Any]:
    return {
        "pipeline": report.pipeline,
        "step": report.step,
        "model_version": report.model_version,
        "columns": dict(report.columns),
        "seconds": dict(report.seconds),
        "traceback": None if report.failure is None else report.failure.traceback,
    }


def _pictures(given: pd.DataFrame, column: str) -> list[tuple[Any, Any]]:
    return list(given[column].items()) if column in given.columns else []


def _cell(value: Any) -> str:
    picture = getattr(value, "thumbnail", None)
    if callable(picture) and hasattr(value, "copy"):
        small = value.copy()
        small.thumbnail((_SIDE, _SIDE))
        data = io.BytesIO()
        small.save(data, format="PNG")
        text = base64.b64encode(data.getvalue()).decode()
        return f'<img src="data:image/png;base64,{text}" alt="{value.width} x {value.height}">'
    return _text(value)


def _text(value: Any) -> str:
    text = "" if value is None or value != value else str(value)  # noqa: PLR0124 -- NaN
    return html.escape(text if len(text) <= _MOST_VALUE else f"{text[:_MOST_VALUE]} …")
