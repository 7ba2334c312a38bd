"""Takes threads, clocks and randomness out of the code under test: all of it comes from the simulation instead.

The places are named here, all of them. If one of them is renamed, the simulation fails at once.
"""

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

from batchord.core.errors import LeaseLost, TransientError
from tests.simulation.actors import current

if TYPE_CHECKING:
    from tests.simulation.world import World


class InlineHeartbeat:
    """The interface of ``batchord.flow.attempt.heartbeat.Heartbeat``. The world calls :meth:`pulse` as time passes."""

    def __init__(
        self, beat: Callable[[], bool | None], *, every: float, limit: float | None = None, world: "World"
    ) -> None:
        self._beat, self._every, self._limit, self._world = beat, every, limit, world
        self._at_loss: list[Callable[[], None]] = []
        self.overdue, self.lost = threading.Event(), threading.Event()
        self._begun = self._last = world.time
        self._stopped = False

    def __enter__(self) -> Self:
        if (actor := current()) is not None:
            actor.heartbeats.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """See the original."""
        self._stopped = True

    def at_loss(self, interrupt: Callable[[], None]) -> None:
        """See the original."""
        self._at_loss.append(interrupt)

    def pulse(self) -> None:
        """Beats if a beat is due."""
        now = self._world.time
        if self._stopped or self.lost.is_set() or now - self._last < self._every:
            return
        self._last = now
        if self._limit is not None and now - self._begun >= self._limit:
            self.overdue.set()
            kept: bool | None = False
        else:
            try:
                kept = self._beat()
            except TransientError:
                return
            except LeaseLost:
                kept = False
        if kept is False:
            self.lost.set()
            for interrupt in self._at_loss:
                interrupt()


class InlineWriter:
    """The interface of ``WriteBehind``: it writes at once, and raises where the original raises."""

    def __init__(self, write: Callable[[Any], None], *, depth: int) -> None:  # noqa: ARG002 -- the original's signature
        self._write = write
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._error is not None and kind is None:
            raise self._error

    def put(self, item: Any) -> None:
        """See the original."""
        if self._error is not None:
            raise self._error
        try:
            self._write(item)
        except Exception as error:  # noqa: BLE001 -- raised again at the next put, as the original does
            self._error = error


@contextmanager
def inline(items: Iterable[Any], **_: Any) -> Iterator[Iterator[Any]]:
    """The interface of ``read_ahead`` and ``spooled``: it reads when it is asked."""
    iterator = iter(items)
    close = getattr(iterator, "close", None)
    if close is None:
        yield iterator
        return
    with closing(iterator):  # type: ignore[type-var]
        yield iterator


@contextmanager
def everything_inline(world: "World") -> Iterator[None]:
    """Replaces each place in the code under test that has a thread, a clock or chance of its own."""

    def token() -> uuid.UUID:
        return uuid.UUID(int=world.chance.number("token") << 64 | world.chance.number("token"), version=4)

    def run_id() -> uuid.UUID:
        """Of version 7: milliseconds since 1970, then bits that rise."""
        world.ids += 1
        return uuid.UUID(int=(int(world.time * 1000) << 80) | (7 << 76) | (2 << 62) | world.ids)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * world.chance.number("wait") / 2**64

    def sleep(seconds: float) -> None:
        world.sleep(seconds)

    clock = SimpleNamespace(perf_counter=world.perf_counter, monotonic=lambda: world.time, sleep=sleep)
    chance = SimpleNamespace(uniform=uniform, sample=lambda items, _: list(items))
    replaced = {
        "batchord.flow.attempt.attempt.Heartbeat": lambda *args, **kw: InlineHeartbeat(*args, world=world, **kw),
        "batchord.flow.predict.records.WriteBehind": InlineWriter,
        "batchord.flow.predict.records.read_ahead": inline,
        "batchord.flow.predict.records.spooled": inline,
        "batchord.flow.predict.records.time": clock,
        "batchord.flow.predict.calls.time": clock,
        "batchord.flow.upkeep.watch.time": clock,
        "batchord.flow.upkeep.watch.random": chance,
        "batchord.flow.begin.backfill.uuid4": token,
        "batchord.core.declared.retries.random": chance,
        "batchord.ledger.leases.uuid4": token,
        "batchord.ledger.shards.uuid4": token,
        "batchord.ledger.runs.uuid7": run_id,
        "tenacity.nap.time": clock,
        "tenacity.wait.random": chance,
    }
    with ExitStack() as patches:
        for place, substitute in replaced.items():
            patches.enter_context(mock.patch(place, substitute))
        yield
