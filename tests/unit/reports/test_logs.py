"""Which log people look at first, and what is said of one that is cut off."""

from datetime import UTC, datetime, timedelta

from batchord.core.run.logs import AttemptName, LogLine, LogPart
from batchord.reports.attempts import AttemptReport
from batchord.reports.logs import about_loss, first_log
from batchord.reports.timeline import TimedAttempt
from tests.contracts.kept_logs import KeptLogs

_START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _attempts(*states: str) -> list[TimedAttempt]:
    return [
        TimedAttempt(
            attempt=AttemptReport(
                step="score", shard=number, attempt=1, worker="a:1", state=state, error=None, finished_at=None,
                begun_at=None, started_at=_START + timedelta(seconds=number),
            ),
            task=None,
            cause=None,
        )
        for number, state in enumerate(states)
    ]  # fmt: skip


def _logs_of(*shards: int) -> KeptLogs:
    logs = KeptLogs()
    line = LogLine(time=_START, level="INFO", source="stdout", message="a line")
    for shard in shards:
        logs.append(LogPart(attempt=AttemptName("run", "score", shard, 1), part=0, worker="a:1", lines=(line,)))
    return logs


def _first(logs: KeptLogs, *states: str) -> int | None:
    chosen = first_log(logs, "run", _attempts(*states))
    return None if chosen is None else chosen.attempt.shard


def test_an_attempt_with_a_log_comes_before_one_without() -> None:
    """Of those with a log: one at work, else one that failed, else the last one. Without any log, of all of them."""
    assert _first(_logs_of(0, 1), "done", "done", "done") == 1
    assert _first(_logs_of(0, 2), "failed", "lost", "done") == 0
    assert _first(_logs_of(0, 1, 2), "done", "running", "failed") == 1
    assert _first(_logs_of(), "failed", "done", "done") == 0
    assert _first(_logs_of()) is None


def test_a_lost_attempt_says_what_may_be_missing() -> None:
    """Whether or not a line of it was stored."""
    assert "lost (killed) before a line was stored" in about_loss("killed", logged=False)
    assert "so the last lines may be missing" in about_loss("killed", logged=True)
