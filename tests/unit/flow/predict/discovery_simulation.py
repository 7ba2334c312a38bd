"""Runs that discover and account, over a busy source; with the property that none of it may break."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, Literal, cast

from batchord.core.declared.steps import Predict
from batchord.core.run.frontier import MAX_CANDIDATES, Frontier
from batchord.core.run.plans import Past
from batchord.core.run.records import Position, Scalar
from batchord.core.run.shards import ShardRange
from batchord.flow.parts import Parts
from batchord.flow.predict.plan import Found, scan
from batchord.settings import Settings
from batchord.sources.sql import SqlSource
from tests.unit.flow.predict.busy_source import STRAYS, BusySource, Event, World


@dataclass
class LedgerInMemory:
    """Frontier, runs and what was accounted for: of the ledger what discovery asks about."""

    world: World
    frontier: Frontier = field(default_factory=Frontier)
    keys: set[int] = field(default_factory=set)
    #: How the step of each run ended; None while it is at work.
    runs: dict[str, Literal["done", "failed"] | None] = field(default_factory=dict)
    #: Called before each statement.
    pause: Callable[[], None] = lambda: None

    def accounted(self, _pipeline: str, _step: str, keys: Sequence[Scalar]) -> set[Scalar]:
        """As :class:`batchord.ledger.planner.PlannerTables`."""
        self.pause()
        return {key for key in keys if key in self.keys}

    def past(self, *_: str, **__: str) -> Past:
        """As :class:`batchord.ledger.planner.PlannerTables`."""
        self.pause()
        scanned = [candidate.scanned_by for candidate in self.frontier.candidates if candidate.scanned_by is not None]
        states = {name: self.runs.get(name, "failed") for name in scanned}
        return Past(
            now=self.world.now,
            frontier=self.frontier,
            accounted_runs=frozenset(name for name, state in states.items() if state == "done"),
            ended_runs=frozenset(name for name, state in states.items() if state is not None),
            rates=[],
        )


class Simulation:
    """One pipeline; its runs follow one another, as the ledger sees to."""

    def __init__(self, *, max_shards: int, settle: timedelta | None = None, together: bool = False) -> None:
        """``together``: source and ledger are in one database."""
        self._together = together
        self.world = World(longest=settle)
        self.ledger = LedgerInMemory(self.world)
        self.shards: list[ShardRange] = []
        self._parts = _parts(self.ledger, max_shards)
        source = SqlSource("SELECT id FROM records", key="id", settle=settle)
        self._step = Predict("predict", source=source, model=lambda frame: frame, shard_rows=2)

    def discover(self, pauses: Iterable[Sequence[Event]], *, dies: bool = False) -> None:
        """A run is planned; a planner that dies leaves no trace, and the same run is planned again.

        In the n-th pause between two statements, the n-th events of ``pauses`` happen.
        """
        found = self._scan(pauses)
        if not dies:
            self.ledger.frontier = found.frontier
            self.shards = found.cutter.cut()
            self.ledger.runs[self._run_id] = None if self.shards else "done"

    def predict_shards(self, count: int, *, fails: bool = False) -> None:
        """Workers account for every record in the next ranges, late ones too; then the run may fail or end."""
        for _ in range(min(count, len(self.shards))):
            shard = self.shards.pop()
            first, last = _number(shard.first), _number(shard.last)
            self.ledger.keys |= {number for number in self.world.committed if first <= number <= last}
        if self.shards and fails:
            self.ledger.runs[self._run_id], self.shards = "failed", []
        elif not self.shards and None in self.ledger.runs.values():
            self.ledger.runs[self._run_id] = "done"

    def check_nothing_is_lost(self) -> None:
        """Below the frontier every record is accounted for, and none can still appear."""
        assert len(self.ledger.frontier.candidates) <= MAX_CANDIDATES
        if self.ledger.frontier.position is None:
            return
        limit = _number(self.ledger.frontier.position)
        lost = sorted(number for number in self.world.committed - self.ledger.keys if number <= limit)
        assert not lost, f"records {lost} are at or below the frontier {limit}, and nobody accounted for them"
        coming = [number for each in self.world.open.values() for number in each.taken if number <= limit]
        assert not coming, f"records {coming} may still appear at or below the frontier {limit}"

    def check_it_ends(self) -> None:
        """Once every session is done, clean runs account for everything and the frontier reaches the end."""
        while self.world.open:
            self.world.happen(Event("commit", 0))
        present = [number for number in self.world.committed if number < STRAYS]
        end = Position(arrival=None, key=max(present)) if present else None
        # Each run takes something of a backlog; then V is gone, a scan follows, and its run accounts.
        for _ in range(len(self.world.committed) + 4):
            self.predict_shards(len(self.shards))
            if self.world.committed == self.ledger.keys and self.ledger.frontier.position == end:
                return
            self.world.now += timedelta(seconds=60)
            self.discover([])
            self.check_nothing_is_lost()
        raise AssertionError(f"the frontier stays at {self.ledger.frontier.position}, the last record is {end}")

    @property
    def _run_id(self) -> str:
        at_work = [name for name, state in self.ledger.runs.items() if state is None]
        return at_work[0] if at_work else f"run-{len(self.ledger.runs)}"

    def _scan(self, pauses: Iterable[Sequence[Event]]) -> Found:
        coming = iter(pauses)

        def pause() -> None:
            for event in next(coming, ()):
                self.world.happen(event)

        self.ledger.pause = pause
        source = BusySource(self.world, pause, accounted=self.ledger.keys if self._together else None)
        found = scan(self._parts, pipeline="p", declared=self._step, source=source, version="1", run_id=self._run_id)
        self.ledger.pause = lambda: None
        return found


@cache
def _settings(max_shards: int) -> Settings:
    return Settings(max_shards=max_shards, parallelism=1)


def _parts(ledger: LedgerInMemory, max_shards: int) -> Parts:
    planner = SimpleNamespace(past=ledger.past, accounted=ledger.accounted)
    unused = cast("Any", None)
    return Parts(
        settings=_settings(max_shards),
        catalog=unused,
        ledger=cast("Any", SimpleNamespace(planner=planner)),
        open_source=unused,
        models=cast("Any", SimpleNamespace(version=lambda _: "v")),
        images=unused,
        author_url="",
        logs=unused,
        notifier=unused,
        switchboard=unused,
        environment={},
        mask=unused,
        worker="test:1",
    )


def _number(position: Position) -> int:
    assert isinstance(position.key, int)
    return position.key
