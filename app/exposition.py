"""Batchord's metrics in Prometheus' format: for Flower's ``/metrics`` and for ``batchord metrics``."""

import threading
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric as Family

from batchord.core.text.visible import in_one_line
from batchord.output.masking import mask
from batchord.reports.metric_names import METRICS, Metric, MetricType
from batchord.reports.metrics import Reading, Sample, read_metrics

from .configuration import QUEUES

#: How long a reading is given to everybody who asks. Prometheus asks every 15 seconds or less often.
KEEP_SECONDS = 5.0


def read_now() -> Reading:
    """The metrics of the servers that are configured. Raises ConfigurationError for an address that cannot be read."""
    from batchord.wiring import metrics_ledger, queue_depths

    return read_metrics(
        version=version("batchord"), ledger=metrics_ledger(), depths=queue_depths(), standard_queues=QUEUES
    )


class BatchordCollector:
    """Gives Batchord's metrics to ``prometheus_client``.

    However many ask at once, the servers are asked once in ``keep_seconds``; the others wait for that answer.
    """

    def __init__(
        self,
        read: Callable[[], Reading] = read_now,
        *,
        keep_seconds: float = KEEP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._reading: tuple[float, Reading] | None = None

    def describe(self) -> Iterable[Family]:
        """The names alone. Without this method, registering would already ask the servers."""
        return [_family(metric) for metric in METRICS]

    def collect(self) -> Iterable[Family]:
        """The metrics. A metric without a value is there by name."""
        return families(self.reading().samples)

    def reading(self) -> Reading:
        """The kept reading, or a new one."""
        with self._lock:
            if self._reading is None or self._clock() - self._reading[0] >= self._keep_seconds:
                reading = self._read()
                self._reading = self._clock(), reading
            return self._reading[1]


def exposition(reading: Reading) -> str:
    """The reading in Prometheus' text format, without the metrics of this process."""
    registry = CollectorRegistry()
    registry.register(BatchordCollector(lambda: reading))
    return generate_latest(registry).decode()


def families(samples: Iterable[Sample]) -> list[Family]:
    """The samples by metric, in the order of :data:`.METRICS`."""
    by_name = {metric.name: _family(metric) for metric in METRICS}
    for sample in samples:
        family, labels = by_name[sample.metric.name], [_label(value) for value in sample.labels]
        if isinstance(family, SummaryMetricFamily):
            family.add_metric(labels, count_value=sample.count or 0, sum_value=sample.value)
        else:
            family.add_metric(labels, sample.value)
    return list(by_name.values())


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily | SummaryMetricFamily:
    match metric.type:
        case MetricType.COUNTER:
            return CounterMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        case MetricType.SUMMARY:
            return SummaryMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    return GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)


def _label(value: str) -> str:
    return in_one_line(mask(value))
