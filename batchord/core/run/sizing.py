"""How many records a shard is to hold: learned from what shards of the same model version took.

A shard aims at a time, not at a number: long enough that its own cost (some 20 ms) does not count, short enough
that a dead worker costs little and that no worker is left with a long last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from batchord.core.text.counts import counted

#: The newest run's share in a rate; the rest is what was known before. A run of a few records says little, and has
#: its full share from so many seconds of work on.
_NEWEST, _WHOLE_SECONDS = 0.5, 10.0
#: Seconds of work below which a shard is not worth a task of its own.
_LEAST_SECONDS = 0.5
#: A ceiling for models that take no time at all.
MOST_ROWS = 250_000


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast workers of one class went through the records of a step with one model version."""

    #: Such as ``cpu`` or ``cuda``: what the model ran on.
    worker_class: str
    #: Of one process, while a shard is at work: loading the model is left out.
    records_per_second: float
    #: Shards that this was measured on.
    shards: int
    #: What a shard may hold at most since one exhausted the memory of its process; None: no such shard is known.
    most_rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class ShardTaken:
    """What the ledger holds of one shard that has ended."""

    worker_class: str
    rows: int
    #: Of its longest phase; phases overlap.
    seconds: float
    out_of_memory: bool = False


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The size of a run's shards."""

    rows: int
    #: A smaller shard is not worth a task of its own.
    least_rows: int
    #: Whether the first shards are small, since nothing is known yet.
    grows: bool
    #: For people, in `batchord plan`.
    why: str
    #: Whether the size is known well enough to plan for an end of all processes at once.
    tapers: bool = False


def estimate(rates: Sequence[Rate], *, declared: int | None, usual: int, least: int, seconds: float) -> Estimate:
    """The size that ``rates`` suggest for shards of ``seconds``; ``usual`` and ``least`` where nothing is known.

    Where several classes of workers serve the step, the slowest decides: any of them may get any shard.
    """
    if declared is not None:
        return Estimate(rows=declared, least_rows=min(least, declared), grows=False, why="as declared")
    # Records stream through a shard in batches: fewer than the usual least would not make a batch smaller.
    most = _most(rates)
    bound = MOST_ROWS if most is None else max(least, most)
    known = [rate for rate in rates if rate.records_per_second > 0]
    if not known:
        rows = min(usual, bound)
        why = "this model version has no measured speed yet: small shards first, then larger ones"
        return Estimate(rows=rows, least_rows=min(least, rows), grows=True, why=why)
    slowest = min(known, key=lambda rate: rate.records_per_second)
    speed = slowest.records_per_second
    rows = max(1, round(speed * seconds))
    measured = f"{counted(slowest.shards, 'shard')} on {slowest.worker_class}"
    why = f"{speed:,.0f} records/s in {measured}; {seconds:g} s for a shard"
    if bound < rows:
        rows = bound
        if most is not None:
            why = f"at most {rows:,}, since a larger shard ran out of memory"
    least_rows = max(1, min(round(speed * _LEAST_SECONDS), rows))
    return Estimate(rows=rows, least_rows=least_rows, grows=False, why=why, tapers=True)


def _most(rates: Sequence[Rate]) -> int | None:
    return min((rate.most_rows for rate in rates if rate.most_rows is not None), default=None)


def learned(before: Sequence[Rate], taken: Sequence[ShardTaken]) -> list[Rate]:
    """The rates after a run whose shards were ``taken``; those of classes that took none stay."""
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
    """Half of the smallest shard that exhausted its memory; twice as many after a run in which none did."""
    killed = [shard.rows for shard in own if shard.out_of_memory]
    if killed:
        return max(1, min([*killed, *([before] if before is not None else [])]) // 2)
    if before is None or before * 2 > MOST_ROWS:
        return None
    return before * 2
