"""A whole stack in one process: the real verbs on a real ledger, and around them nothing that is left to chance."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import SecretStr

from batchord.core.declared.sources import Source, SourceContext, Window
from batchord.core.errors import ModelError, TransientError
from batchord.ledger import Ledger
from batchord.settings import Settings
from tests.simulation.actors import Actor, Died, State, current
from tests.simulation.arrivals import Program
from tests.simulation.broker import Broker
from tests.simulation.rows import Rows
from tests.simulation.sessions import SimulatedConnections
from tests.simulation.system import (
    NoImages,
    NoLogs,
    NoSwitchboard,
    Receivers,
    SimulatedModels,
    SimulatedParts,
    edition,
)
from tests.simulation.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchord.core.declared.source_reader import SourceReader
    from tests.simulation.chance import Chance
    from tests.simulation.sessions import Sessions

#: When every schedule begins: later than the start of any server, which a claim compares with leases.
EPOCH = datetime(2040, 1, 1, tzinfo=UTC)
#: The kinds of faults.
FAULTS = (
    "kill",
    "kill-machine",
    "stop",
    "slow",
    "raise",
    "cut",
    "late",
    "lose",
    "double",
    "reorder",
    "flush",
    "clock",
    "receiver",
    "people",
    "edit",
    "model",
    "deadly",
    "delete",
    "error",
    "memory",
    "poison",
    "restart",
)
#: The places where the code under test meets a server besides the ledger.
_MEETS_A_SERVER = frozenset(
    {
        "before-batch-commit",
        "after-batch-commit",
        "after-predict",
        "before-shard-finish",
        "before-plan-commit",
        "predicting",
        "begin",
    }
)
#: The places at which a shard is half done, where it takes its time.
_AT_WORK = _MEETS_A_SERVER - {"begin"}
#: Places in transactions that the simulation does not know.
_IN_TRANSACTION = frozenset({"before-sql-commit", "in-batch-copy"})


@dataclass(kw_only=True)
class World:
    """The state of a simulated stack, and what may happen in it."""

    url: str
    sessions: "Sessions"
    chance: "Chance"
    #: The faults that this schedule has, and how many times as frequent as usual each of them is.
    faults: "Mapping[str, int]"
    #: What its pipelines have.
    shape: frozenset[str]
    #: Whether the story shows what changed in the ledger.
    tells_rows: bool = False
    #: Seconds since 1970.
    time: float = EPOCH.timestamp()
    #: The latest time that there was: the clock may step back.
    latest: float = EPOCH.timestamp()
    #: How many seconds beat's clock is ahead of the ledger's.
    beat_ahead: float = 0.0
    model_version: int = 1
    #: How many runs got an id.
    ids: int = 0
    #: How often each function's work was done, by run and step.
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    broker: Broker = field(default_factory=Broker)
    receivers: Receivers = field(default_factory=Receivers)
    #: What happened, a line each.
    story: list[str] = field(default_factory=list)
    #: False when faults have ceased.
    faulty: bool = True
    _ticks: int = 0
    _rows: Rows = field(default_factory=Rows)

    def __post_init__(self) -> None:
        self.sessions.serve(self)
        self.editions = [edition(self, 0)]
        self.programs = {table: Program(self, table) for table in ("records", "events")}
        self.workers = Workers(self)

    @cached_property
    def parts(self) -> SimulatedParts:
        """The parts of a person's command."""
        settings = Settings.model_construct(
            lease_seconds=60,
            resend_after_seconds=60,
            max_attempts=5,
            retry_base_seconds=2,
            retry_ceiling_seconds=60,
            shard_seconds=15,
            shard_time_limit_seconds=600,
            plan_time_limit_seconds=3600,
            parallelism=2,
            max_shards=3,
            keep_runs_days=365,
            keep_logs_days=30,
            keep_idle_runs_days=2,
            keep_outputs_days=None,
            alert_urls=SecretStr("sim://people"),
            home=None,
        )
        ledger = Ledger(self.url)
        ledger._connections = SimulatedConnections(self.sessions)  # noqa: SLF001 -- all of the ledger goes through it
        return SimulatedParts(
            settings=settings,
            catalog=self.editions[0],
            ledger=ledger,
            open_source=_opened,
            models=SimulatedModels(self),
            images=NoImages(),
            author_url=self.url,
            logs=NoLogs(),
            notifier=self.receivers,
            switchboard=NoSwitchboard(),
            environment={},
            mask=str,
            worker="people",
        )

    # -- Time ------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The time."""
        return datetime.fromtimestamp(self.time, UTC)

    def tell_time(self) -> str:
        """The time for a transaction. Each takes a moment, so no two have the same."""
        self.time += 0.001
        return self.now().isoformat()

    def perf_counter(self) -> float:
        """A clock for durations. Whatever is measured takes a little time."""
        self._ticks += 1
        return self.time + self._ticks / 1000

    def sleep(self, seconds: float) -> None:
        """What a process does that waits: others go on meanwhile."""
        actor = current()
        if actor is None or actor.in_transaction:
            self.time += seconds
        else:
            actor.pause(State.SLOW)

    def pass_time(self, seconds: float) -> None:
        """Lets time pass; the clock steps back if it is negative. Processes that are not stopped renew their leases.

        They do so once, at the end: nobody else does anything meanwhile.
        """
        self.latest = max(self.latest, self.time)
        self.time += seconds
        for process in self.workers.paused():
            if process.busy is not None and process.busy.state is State.SLOW:
                for heartbeat in process.busy.heartbeats:
                    heartbeat.pulse()

    def tell(self, line: str) -> None:
        """Adds a line to the story."""
        if self.tells_rows:
            self.story += [f"{'':>15}      {change}" for change in self._rows.changes(self.sessions.outside)]
        who = current()
        moment = timedelta(seconds=round(self.time - EPOCH.timestamp()))
        self.story.append(f"{moment!s:>15}  {'' if who is None else f'{who.name}: '}{line}")

    # -- Faults ----------------------------------------------------------------------------------------------

    def has(self, fault: str) -> bool:
        """Whether there may be a fault of that kind now."""
        return self.faulty and fault in self.faults

    def at(self, place: str) -> None:
        """Called at each place where a process may die, stop, be slow, or meet a fault of a server."""
        actor = current()
        if actor is None:
            return
        if actor.state is State.KILLED:
            raise Died
        if self._happens("kill", place, 0.006):
            self.die(f"is killed at {place}")
        if self._happens("kill-machine", place, 0.004):
            self.die(f"its machine is lost at {place}", of_machine=True)
        if self._happens("stop", place, 0.03 if place in _AT_WORK else 0.008):
            if actor.in_transaction:  # the server ends such a session; others have waited for its locks until then
                self.sessions.cut([*actor.sessions])
            self._pause(actor, State.STOPPED, f"is stopped at {place}")
        if actor.in_transaction or place in _IN_TRANSACTION:
            return
        if self._happens("slow", place, 0.06 if place in _AT_WORK else 0.008):
            self._pause(actor, State.SLOW, f"waits at {place}")
        if place in _MEETS_A_SERVER and self._happens("raise", place, 0.01):
            self.tell(f"meets a passing error at {place}")
            raise TransientError(f"a server does not answer at {place}")

    def _happens(self, fault: str, place: str, probability: float) -> bool:
        return self.has(fault) and self.chance.happens(f"{fault}/{place}", probability * self.faults[fault])

    def _pause(self, actor: Actor, state: State, line: str) -> None:
        self.tell(line)
        actor.pause(state)
        self.tell("goes on")

    def break_model(self) -> None:
        """Raises what a model raises: an error that its author may want to try again, or one for a lack of memory."""
        actor = current()
        if actor is None:
            return
        if self._happens("error", "model", 0.08):
            self.tell("its model raises")
            raise ModelError("the model's server is away")
        if self._happens("memory", "model", 0.05):
            self.tell("its process lacks memory")
            self.workers.exhausted.add(actor.name)
            raise MemoryError("no memory")

    def cuts(self, what: str, probability: float = 0.006) -> bool:
        """Whether the database's connection of this process breaks now."""
        if current() is None or not self._happens("cut", what, probability):
            return False
        self.tell(f"its connection is {what}")
        return True

    def die(self, why: str, *, of_machine: bool = False) -> None:
        """Kills the process that calls. It does not return."""
        actor = current()
        assert actor is not None
        self.tell(why)
        actor.lost_with_machine = of_machine
        actor.pause(State.KILLED)

    def close(self) -> None:
        """Ends everything that is left of the stack."""
        self.faulty = False
        for actor in [*self.workers.dead, *filter(None, (process.busy for process in self.workers.processes))]:
            self.sessions.cut([*actor.sessions])
            actor.unwind()
        for program in self.programs.values():
            program.close()


def _opened(declared: Source, window: Window | None) -> "SourceReader":
    return declared.open(SourceContext(window=window, database_url=""))
