"""The metrics as they are now: numbers of the ledger and of the queues. Nothing here knows Prometheus' format."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchord.core.errors import BatchordError
from batchord.core.reasons import LossCause
from batchord.core.run.runs import RunState
from batchord.reports import metric_names as names
from batchord.reports.metric_names import Metric
from batchord.reports.oldest import oldest_pending
from batchord.reports.queues import queues_now

if TYPE_CHECKING:
    from batchord.ledger import Ledger
    from batchord.queue.depths import QueueDepths

POSTGRESQL, REDIS = "postgresql", "redis"
#: The ledger's names of counters, each with its metric.
_COUNTERS = {
    "runs": names.RUNS_ENDED,
    "predicted": names.PREDICTED,
    "rejected": names.REJECTED,
    "lost": names.ATTEMPTS_LOST,
}
#: The ledger's names of the number and of the seconds of a summary.
_SUMMARIES = {names.RUN_SECONDS: ("timed_runs", "run_seconds"), names.SHARD_SECONDS: ("shards", "shard_seconds")}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One value of a metric."""

    metric: Metric
    #: The values of the metric's labels, in their order.
    labels: tuple[str, ...] = ()
    value: float
    #: How many times a summary has added up to ``value``; None for the other types.
    count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All metrics at one time."""

    samples: Sequence[Sample]
    #: Why servers did not answer.
    problems: Sequence[str] = ()


@dataclass(kw_only=True)
class _Collected:
    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def ask(self, server: str, question: Callable[[], list[Sample]]) -> None:
        """Adds the answer of a server, and whether and when it came."""
        start = time.monotonic()
        try:
            answer = question()
        except BatchordError as error:
            answer = []
            self.problems.append(str(error))
            up = 0
        else:
            up = 1
        seconds = time.monotonic() - start
        self.samples += answer
        self.samples.append(Sample(metric=names.SERVER_UP, labels=(server,), value=up))
        self.samples.append(Sample(metric=names.SCRAPE_SECONDS, labels=(server,), value=seconds))


def read_metrics(
    *, version: str, ledger: "Ledger | None", depths: "QueueDepths | None", standard_queues: Sequence[str]
) -> Reading:
    """The metrics now. A server that does not answer costs its own metrics alone; the problem is in the reading.

    ``ledger`` and ``depths``: None if the server is not configured. Then there are no metrics of it.
    """
    collected = _Collected(samples=[Sample(metric=names.BUILD, labels=(version,), value=1)])
    own_queues: list[str] = []
    if ledger is not None:

        def ask_ledger() -> list[Sample]:
            own_queues.extend(ledger.metrics.queues())
            return list(_of_ledger(ledger))

        collected.ask(POSTGRESQL, ask_ledger)
    if depths is not None:
        collected.ask(REDIS, lambda: list(_of_queues(depths, standard_queues, own_queues)))
    return Reading(samples=collected.samples, problems=collected.problems)


def _of_ledger(ledger: "Ledger") -> Iterator[Sample]:
    pipelines = ledger.metrics.pipelines()
    known = [row["pipeline"] for row in pipelines]
    yield from _totals(ledger.metrics.counters(), known)
    open_runs = {(row["pipeline"], row["state"]): row["runs"] for row in ledger.metrics.open_runs()}
    for pipeline, state in _grid(known, (RunState.QUEUED, RunState.RUNNING), open_runs):
        yield Sample(metric=names.RUNS, labels=(pipeline, state), value=open_runs.get((pipeline, state), 0))
    for row in pipelines:
        yield Sample(metric=names.PAUSED, labels=(row["pipeline"],), value=int(row["paused"]))
        if row["succeeded"] is not None:
            yield Sample(metric=names.LAST_SUCCESS, labels=(row["pipeline"],), value=row["succeeded"])
    yield from _pending(ledger.metrics.pending(), known)
    for row in ledger.metrics.incidents():
        yield Sample(metric=names.ALERTS_OPEN, labels=(row["pipeline"], row["kind"]), value=1)
    unsent = ledger.metrics.unsent_alerts()
    yield Sample(metric=names.ALERTS_UNSENT, value=unsent["alerts"])
    yield Sample(metric=names.ALERTS_UNSENT_AGE, value=unsent["age"])


def _totals(rows: Sequence[dict[str, Any]], known: Sequence[str]) -> Iterator[Sample]:
    """Counters and summaries. A counter that is 0 is there, too: otherwise its first rise would be no rise."""
    sums = {(row["name"], row["pipeline"], row["label"]): row["value"] for row in rows}
    zeros = [("runs", str(state)) for state in RunState if state.ended] + [("lost", str(cause)) for cause in LossCause]
    for pipeline in known:
        for name, label in zeros:
            sums.setdefault((name, pipeline, label), 0)
    for (name, pipeline, label), value in sorted(sums.items()):
        if name in _COUNTERS:
            yield Sample(metric=_COUNTERS[name], labels=(pipeline, label), value=value)
        if (name, label) == ("lost", LossCause.VANISHED):
            yield Sample(metric=names.TAKEOVERS, labels=(pipeline,), value=value)
    for metric, (number, seconds) in _SUMMARIES.items():
        for (name, pipeline, label), count in sorted(sums.items()):
            if name == number:
                labels = (pipeline, label)[: len(metric.labels)]
                yield Sample(metric=metric, labels=labels, value=sums[seconds, pipeline, label], count=int(count))


def _pending(rows: Sequence[dict[str, Any]], known: Sequence[str]) -> Iterator[Sample]:
    for row in rows:
        yield Sample(metric=names.PENDING, labels=(row["pipeline"], row["step"]), value=row["pending"])
    for pipeline, age in (dict.fromkeys(known, 0.0) | oldest_pending(rows)).items():
        yield Sample(metric=names.PENDING_AGE, labels=(pipeline,), value=age)


def _grid(known: Sequence[str], labels: Sequence[str], found: dict[tuple[str, str], Any]) -> list[tuple[str, str]]:
    return sorted({(pipeline, str(label)) for pipeline in known for label in labels} | found.keys())


def _of_queues(depths: "QueueDepths", standard: Sequence[str], others: Sequence[str]) -> Iterator[Sample]:
    for queue in queues_now(depths, standard=standard, others=others):
        for state, messages, age in (
            ("ready", queue.ready, queue.oldest_ready),
            ("unacked", queue.unacked, queue.oldest_unacked),
        ):
            labels = (queue.queue, state)
            yield Sample(metric=names.QUEUE_MESSAGES, labels=labels, value=messages)
            # A message of a release that did not write the time has no age. An age of 0 would hide it.
            if age is not None or not messages:
                yield Sample(metric=names.QUEUE_AGE, labels=labels, value=age or 0)
