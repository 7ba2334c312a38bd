"""Metrics in Prometheus' format, kept for some seconds."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.exposition import BatchordCollector, exposition
from batchord.reports import metric_names as names
from batchord.reports.metric_names import METRICS, MetricType
from batchord.reports.metrics import Reading, Sample

READING = Reading(samples=[Sample(metric=names.PREDICTED, labels=("reviews", "mood"), value=7)])


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time that was set."""
        return self.now


class Servers:
    """Counts how often they are asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Reading:
        """The one reading."""
        self.asked += 1
        return READING


def test_the_servers_are_asked_once_in_some_seconds() -> None:
    """Scrapes in between get the same reading."""
    clock, servers = Clock(), Servers()
    collector = BatchordCollector(servers, keep_seconds=5, clock=clock)
    for now in (0.0, 1.0, 4.9):
        clock.now = now
        assert collector.reading() is READING
    assert servers.asked == 1

    clock.now = 5.0
    collector.reading()
    assert servers.asked == 2


def test_scrapes_at_the_same_time_share_one_answer() -> None:
    """Those that come while the servers are being asked wait for this answer."""
    all_here, asked = threading.Barrier(8), Servers()
    collector = BatchordCollector(asked)

    def scrape(_: int) -> Reading:
        all_here.wait(timeout=10)
        return collector.reading()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(scrape, range(8))) == [READING] * 8
    assert asked.asked == 1


def test_a_failed_question_is_asked_again() -> None:
    """An error is not kept."""

    def refuse() -> Reading:
        raise ValueError("no")

    collector = BatchordCollector(refuse)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            collector.reading()


def test_registering_asks_nobody() -> None:
    """Flower starts while its servers are away."""
    servers = Servers()
    registry = CollectorRegistry(auto_describe=True)
    registry.register(BatchordCollector(servers))
    assert servers.asked == 0

    assert b'batchord_records_predicted_total{pipeline="reviews",step="mood"} 7.0' in generate_latest(registry)
    assert servers.asked == 1


def test_odd_names_stay_in_their_line() -> None:
    """No label begins a line of its own or steers a terminal."""
    odd = 'a"b\\c\nbatchord_runs 1\x1b[2J'
    printed = exposition(Reading(samples=[Sample(metric=names.PAUSED, labels=(odd,), value=1)]))

    assert "\x1b" not in printed
    assert not [line for line in printed.splitlines() if line.startswith("batchord_runs ")]
    (family,) = [each for each in text_string_to_metric_families(printed) if each.samples]
    assert [sample.value for sample in family.samples] == [1]


def test_names_follow_the_conventions() -> None:
    """A counter ends with _total and nothing else does; units are seconds; every metric says what it means."""
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith("batchord_")
        assert metric.name.endswith("_total") == (metric.type is MetricType.COUNTER)
        assert not metric.name.endswith(("_sum", "_count", "_ms", "_minutes", "_milliseconds"))
        assert metric.meaning.endswith(".")
        assert not {"run", "run_id", "record", "key", "worker", "host", "error"} & set(metric.labels)


def test_every_metric_of_the_code_is_listed() -> None:
    """One that is missing in the list could not be shown."""
    defined = [value for value in vars(names).values() if isinstance(value, names.Metric)]
    assert sorted(defined, key=lambda metric: metric.name) == sorted(METRICS, key=lambda metric: metric.name)
