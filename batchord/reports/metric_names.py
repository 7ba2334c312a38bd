"""Every metric: its name and unit by Prometheus' conventions, its type, its labels and its meaning.

Labels have few values: names that authors wrote in pipeline files, names of queues, and words from fixed lists. No
label holds an id, a record's key, a worker's name or a text of an error.
"""

from dataclasses import dataclass
from enum import StrEnum


class MetricType(StrEnum):
    """The types of Prometheus that are used."""

    #: It never falls. People ask for its rate.
    COUNTER = "counter"
    #: How it is now.
    GAUGE = "gauge"
    #: A sum of seconds and how many times were added up.
    SUMMARY = "summary"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric."""

    #: A counter's name ends with ``_total``.
    name: str
    type: MetricType
    labels: tuple[str, ...]
    #: One sentence for people.
    meaning: str


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=name, type=MetricType.COUNTER, labels=labels, meaning=meaning)


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=name, type=MetricType.GAUGE, labels=labels, meaning=meaning)


def _summary(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=name, type=MetricType.SUMMARY, labels=labels, meaning=meaning)


RUNS = _gauge("batchord_runs", "Runs that are queued or running.", "pipeline", "state")
RUNS_ENDED = _counter("batchord_runs_ended_total", "Runs that have ended, by their end.", "pipeline", "state")
RUN_SECONDS = _summary("batchord_run_duration_seconds", "Time from the start to the end of the ended runs.", "pipeline")
LAST_SUCCESS = _gauge(
    "batchord_last_success_timestamp_seconds",
    "When the newest run that succeeded ended, in seconds since 1970.",
    "pipeline",
)
PAUSED = _gauge("batchord_pipeline_paused", "1 if a person has paused the pipeline, otherwise 0.", "pipeline")
PREDICTED = _counter("batchord_records_predicted_total", "Records that got a prediction.", "pipeline", "step")
REJECTED = _counter("batchord_records_rejected_total", "Records that got a rejection.", "pipeline", "step")
PENDING = _gauge(
    "batchord_records_pending",
    "Discovered records without a prediction or a rejection, of running runs or of what the newest ended run left.",
    "pipeline",
    "step",
)
PENDING_AGE = _gauge(
    "batchord_oldest_pending_age_seconds",
    "Time since the oldest pending record was discovered; 0 if none is pending.",
    "pipeline",
)
SHARD_SECONDS = _summary(
    "batchord_shard_duration_seconds", "Time from the first start to the end of the shards that are done.",
    "pipeline", "step",
)  # fmt: skip
ATTEMPTS_LOST = _counter(
    "batchord_attempts_lost_total", "Attempts whose worker did not report their end, by the cause.",
    "pipeline", "cause",
)  # fmt: skip
TAKEOVERS = _counter(
    "batchord_lease_takeovers_total",
    "Leases that ran out and that another attempt took over: the lost attempts with the cause vanished.",
    "pipeline",
)
ALERTS_OPEN = _gauge(
    "batchord_alerts_open", "Problems that an alert reported and that are not over.", "pipeline", "kind"
)
ALERTS_UNSENT = _gauge("batchord_alerts_unsent", "Alerts that wait to be sent, or to be sent again.")
ALERTS_UNSENT_AGE = _gauge("batchord_oldest_unsent_alert_age_seconds", "Age of the oldest of them; 0 without any.")
QUEUE_MESSAGES = _gauge(
    "batchord_queue_messages",
    "Messages that wait for a worker (ready), or that a worker has taken and not acknowledged (unacked).",
    "queue",
    "state",
)
QUEUE_AGE = _gauge(
    "batchord_queue_oldest_message_age_seconds",
    "How long the oldest of these messages has been due; 0 without any.",
    "queue",
    "state",
)
SERVER_UP = _gauge("batchord_server_up", "1 if the server answered this scrape, otherwise 0.", "server")
SCRAPE_SECONDS = _gauge("batchord_scrape_duration_seconds", "How long it took to ask the server.", "server")
BUILD = _gauge("batchord_build_info", "Always 1. The label has Batchord's version.", "version")

METRICS = (
    RUNS, RUNS_ENDED, RUN_SECONDS, LAST_SUCCESS, PAUSED, PREDICTED, REJECTED, PENDING, PENDING_AGE, SHARD_SECONDS,
    ATTEMPTS_LOST, TAKEOVERS, ALERTS_OPEN, ALERTS_UNSENT, ALERTS_UNSENT_AGE, QUEUE_MESSAGES, QUEUE_AGE, SERVER_UP,
    SCRAPE_SECONDS, BUILD,
)  # fmt: skip
