"""Many pipelines: the cost of a catalog of 1,000 for beat, and of the ticks of 100 for an otherwise idle stack."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from celery import Celery

from batchord.catalog import Catalog
from batchord.settings import settings
from beat.schedule import PipelineScheduler
from benchmarks.measure import Row, figure, processor_seconds
from benchmarks.peers import Peers
from benchmarks.stack import Stack

NAME = "schedules"
#: Pipelines of the large catalog.
RECORDS = 1000
_TICKING = 100
_IDLE_SECONDS = 120.0
_TICKS = 50
_PIPELINE = """
from batchord import Pipeline, Python, cron, every

pipeline = Pipeline("{name}", schedule={schedule}, steps=[Python("nothing", lambda: None)])
"""


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table. The name of a row says what its ``seconds`` are."""
    del peers
    rows = _large_catalog(stack, records, times)
    # First the stack without pipelines, then with pipelines whose runs do nothing, once a minute each.
    for count in (0, _TICKING):
        folder = stack.home / "pipelines"
        for file in folder.glob("*.py"):
            file.unlink()
        for number in range(count):
            name = f"p{number:04d}"
            stack.declare(name, _PIPELINE.format(name=name, schedule="every(minutes=1)"))
        busy, runs = _idle(stack)
        system = f"{count} pipelines, one tick a minute each: processor seconds in {_IDLE_SECONDS:.0f} s ({runs} runs)"
        rows.append(figure(NAME, system, seconds=busy, digits=4))
    return rows


def _large_catalog(stack: Stack, count: int, times: int) -> list[Row]:
    folder = stack.home / "many"
    folder.mkdir()
    for number in range(count):
        minutes = 1 + number % 30
        schedule = f"cron('*/{minutes} * * * *', 'Europe/Berlin')" if number % 2 else f"every(minutes={minutes})"
        text = _PIPELINE.format(name=f"p{number:04d}", schedule=schedule)
        (folder / f"p{number:04d}.py").write_text(text, encoding="utf-8")
    loads = [_taken(lambda: _load(folder)) for _ in range(times)]
    with Celery(broker=stack.redis_url, set_as_current=False) as app:
        app.conf.update(
            redbeat_redis_url=stack.redis_url,
            redbeat_key_prefix="bench:beat:",
            redbeat_lock_key=None,
            beat_max_loop_interval=1,
        )
        schedulers: list[PipelineScheduler] = []
        with _pipelines(folder):
            installs = [_taken(lambda: schedulers.append(PipelineScheduler(app))) for _ in range(times)]
        scheduler = schedulers[-1]
        hour_ago = app.now() - timedelta(hours=1)
        for name in app.conf.beat_schedule:
            scheduler.Entry.from_key(scheduler.Entry.generate_key(app, name), app=app).reschedule(hour_ago)
        every_due = _taken(scheduler.tick)
        ticks = [_taken(scheduler.tick) for _ in range(_TICKS)]
    return [
        figure(NAME, f"{count} pipelines: the catalog is loaded", seconds=statistics.median(loads), digits=4),
        figure(NAME, f"{count} pipelines: beat has installed them", seconds=statistics.median(installs), digits=4),
        figure(NAME, f"{count} pipelines: a tick of beat in which all are due", seconds=every_due, digits=4),
        figure(
            NAME, f"{count} pipelines: a tick of beat, median of {_TICKS}", seconds=statistics.median(ticks), digits=4
        ),
    ]


@contextmanager
def _pipelines(folder: Path) -> Iterator[None]:
    """Makes the settings name another folder during the block."""
    before = os.environ["BATCHORD_PIPELINES"]
    os.environ["BATCHORD_PIPELINES"] = str(folder)
    settings.cache_clear()
    try:
        yield
    finally:
        os.environ["BATCHORD_PIPELINES"] = before
        settings.cache_clear()


def _load(folder: Path) -> None:
    for name in [name for name in sys.modules if name.startswith("batchord_pipelines_")]:
        del sys.modules[name]
    if Catalog(folder).problems:
        raise RuntimeError("The catalog has problems")


def _idle(stack: Stack) -> tuple[float, int]:
    """The processor seconds of workers and beat while there are only ticks, and the number of runs in that time."""
    stack.sql("TRUNCATE batchord.runs CASCADE")
    pids = [*stack.start(), *stack.start_beat()]
    time.sleep(70)  # waits for the first ticks, until every process is warm
    before, ((runs_before,),) = processor_seconds(pids), stack.sql("SELECT count(*) FROM batchord.runs")
    time.sleep(_IDLE_SECONDS)
    busy = processor_seconds(pids) - before
    ((runs,),) = stack.sql("SELECT count(*) FROM batchord.runs")
    stack.stop()
    return busy, runs - runs_before


def _taken(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
