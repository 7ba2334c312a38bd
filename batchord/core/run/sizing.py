"""How many records a shard should hold, learned from how long shards of the same model version took.

A shard aims at a time, not at a number of records. The time is long enough that the shard's own cost (some 20 ms) does
not matter. It is short enough that a dead worker costs little and that no worker ends up with a long last shard.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from batchord.core.text.counts import counted

#: The share of the newest run in a rate; the earlier rate has the rest. A run with few records says little, so it gets
#: its full share only if it has worked for this many seconds.
_NEWEST, _WHOLE_SECONDS = 0.5, 10.0
#: Seconds of work in the smallest shard that is worth a task of its own.
_LEAST_SECONDS = 0.5
#: The most records of a shard, even if the model takes almost no time.
MOST_ROWS = 250_000


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast workers of one class predicted the records of a step with one model version."""

    #: What the model ran on, such as ``cpu`` or ``cuda``.
    worker_class: str
    #: The speed of one process while it works on a shard. Loading the model does not count.
    records_per_second: float
    #: How many shards were measured.
    shards: int
    #: The most records of a shard, after a shard exhausted the memory of its process. None: no shard did.
    most_rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class ShardTaken:
    """The ledger's numbers about one shard that has ended."""

    worker_class: str
    rows: int
    #: The time of its longest phase. Phases overlap.
    seconds: float
    out_of_memory: bool = False


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The size of a run's shards."""

    rows: int
    #: Records in the smallest shard that is worth a task of its own.
    least_rows: int
    #: Whether the first shards are small, because no speed was measured yet.
    grows: bool
    #: The reason for this size. `batchord plan` shows it.
    why: str
    #: Whether the speed is known well enough to plan that all processes end at the same time.
    tapers: bool = False


def estimate(rates: Sequence[Rate], *, declared: int | None, usual: int, least: int, seconds: float) -> Estimate:
    """The size that ``rates`` suggest for shards that take ``seconds``; ``usual`` and ``least`` if there are no rates.

    If several classes of workers serve the step, the slowest decides: any of them may get any shard.
    """
    if declared is not None:
        return Estimate(rows=declared, least_rows=min(least, declared), grows=False, why="as declared")
    # Records stream through a shard in batches, so a shard with fewer than `least` records would not need less memory.
    most = _most(rates)
    bound = MOST_ROWS if most is None else max(least, most)
    measured = [rate for rate in rates if rate.records_per_second > 0]
    if not measured:
        rows = min(usual, bound)
        why = "this model version has no measured speed yet: small shards first, then larger ones"
        return Estimate(rows=rows, least_rows=min(least, rows), grows=True, why=why)
    slowest = min(measured, key=lambda rate: rate.records_per_second)
    speed = slowest.records_per_second
    rows = max(1, round(speed * seconds))
    where = f"{counted(slowest.shards, 'shard')} on {slowest.worker_class}"
    why = f"{speed:,.0f} records/s in {where}; {seconds:g} s for a shard"
    if bound < rows:
        rows = bound
        if most is not None:
            why = f"at most {rows:,}, since a larger shard ran out of memory"
    least_rows = max(1, min(round(speed * _LEAST_SECONDS), rows))
    return Estimate(rows=rows, least_rows=least_rows, grows=False, why=why, tapers=True)


def _most(rates: Sequence[Rate]) -> int | None:
    return min((rate.most_rows for rate in rates if rate.most_rows is not None), default=None)


def learned(before: Sequence[Rate], taken: Sequence[ShardTaken]) -> list[Rate]:
    """The rates after a run with the shards ``taken``. Rates of worker classes without any of these stay."""
    rates = {rate.worker_class: rate for rate in before}
    for name in dict.fromkeys(shard.worker_class for shard in taken):
        own = [shard for shard in taken if shard.worker_class == name]
        measured = [shard for shard in own if shard.seconds > 0 and not shard.out_of_memory]
        rate = rates.get(name) or Rate(worker_class=name, records_per_second=0.0, shards=0)
        if measured:
            seconds = sum(shard.seconds for shard in measured)
            speed = sum(shard.rows for shard in measured) / seconds
            share = _NEWEST * min(1.0, seconds / _WHOLE_SECONDS) if rate.records_per_second else 1.0
            speed = share * speed + (1 - share) * rate.records_per_second
            rate = replace(rate, records_per_second=speed, shards=rate.shards + len(measured))
        rates[name] = replace(rate, most_rows=_most_rows(rate.most_rows, own))
    return list(rates.values())


def _most_rows(before: int | None, own: Sequence[ShardTaken]) -> int | None:
    """Half of the smallest shard that exhausted its memory; twice the old limit after a run in which none did."""
    killed = [shard.rows for shard in own if shard.out_of_memory]
    if killed:
        return max(1, min([*killed, *([before] if before is not None else [])]) // 2)
    if before is None or before * 2 > MOST_ROWS:
        return None
    return before * 2
