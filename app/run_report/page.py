"""Writes what :mod:`batchord.reports.run` says of a run as one HTML file."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.escape import xhtml_escape
from tornado.template import Template

from batchord.core.text.counts import counted
from batchord.core.text.visible import visible
from batchord.output.masking import mask
from batchord.reports.attempts import AttemptGroup, fault_of

from ..drawing.charts import bars, histogram, spread
from ..drawing.words import duration, moment, number, told

if TYPE_CHECKING:
    from batchord.reports.run import RunDetail
    from batchord.reports.summaries import StepSummary

_TEMPLATE = Path(__file__).with_name("report.html")
_STYLE = Path(__file__).with_name("report.css")
#: The most labels, reasons, and groups of attempts and of failures that are shown. The numbers of the others are.
_MOST_BARS, _MOST_TROUBLES, _MOST_FAILURES = 20, 40, 10
#: The quantiles that a drawing of scores needs.
_SPREAD = frozenset({"min", "p5", "p25", "p50", "p75", "p95", "max"})


def report_page(detail: "RunDetail", *, short_id: str, now: datetime, hides_records: bool) -> str:
    """The file's text. ``now``: when it is written. ``hides_records``: whether it names no single record."""
    template = Template(_TEMPLATE.read_text("utf-8"), name=_TEMPLATE.name, autoescape="shown")
    written: bytes = template.generate(
        detail=detail,
        run=detail.outcome.run,
        short_id=short_id,
        now=now.astimezone(UTC),
        version=version("batchord"),
        style=_STYLE.read_text("utf-8"),
        troubles=detail.troubles[:_MOST_TROUBLES],
        more_troubles=len(detail.troubles[_MOST_TROUBLES:]),
        failures=detail.failures[:_MOST_FAILURES],
        more_failures=len(detail.failures[_MOST_FAILURES:]),
        hides_records=hides_records,
        error_of=lambda error: (fault_of(error) if hides_records else error) or "",
        worker_of=_worker,
        labels_of=lambda step: _counts(step.labels, text=f"Labels of {step.step}"),
        rejections_of=lambda step: _counts(step.rejections, text=f"Rejections of {step.step} by reason"),
        scores_of=_scores,
        phases_of=_phases,
        more=lambda counts: max(0, len(counts) - _MOST_BARS),
        counted=counted,
        number=number,
        duration=duration,
        moment=moment,
        shown=_shown,
        told=lambda text: told(text, escaped=_shown),
    )
    return written.decode()


def _shown(value: Any) -> str:
    """HTML: a value as text, without secrets and without characters that steer a terminal."""
    escaped: str = xhtml_escape(visible(mask(value.decode() if isinstance(value, bytes) else str(value))))
    return escaped


def _worker(group: AttemptGroup) -> str:
    return group.worker or "unknown"


def _counts(counts: Mapping[str, int], *, text: str) -> str:
    """SVG: the most frequent ones as bars; empty without any."""
    if not counts:
        return ""
    first = dict(list(counts.items())[:_MOST_BARS])
    told = ", ".join(f"{name} {number(count)}" for name, count in first.items())
    return bars({visible(name): count for name, count in first.items()}, text=visible(f"{text}: {told}"))


def _scores(step: "StepSummary") -> str:
    """SVG: how the scores are spread; empty if they are not known."""
    if not step.score_quantiles.keys() >= _SPREAD:
        return ""
    told = ", ".join(f"{name} {value:.3g}" for name, value in step.score_quantiles.items())
    drawn = spread(step.score_quantiles, text=f"Scores of {step.step}: {told}")
    if not step.score_counts:
        return drawn
    ends = {"least": step.score_quantiles["min"], "greatest": step.score_quantiles["max"]}
    return histogram(step.score_counts, **ends, text=f"Records of {step.step} by score") + drawn


def _phases(step: "StepSummary") -> str:
    """SVG: the worker seconds of each phase, in the order of the work; empty if nothing was measured."""
    if not any(step.seconds.values()):
        return ""
    seconds = {phase: step.seconds[phase] for phase in ("fetch", "predict", "write")}
    told = ", ".join(f"{phase} {duration(each)}" for phase, each in seconds.items())
    return bars(seconds, text=f"Worker seconds of {step.step}: {told}", unit=" s")
