"""The workers of a simulated stack: they take messages, call verbs and publish, and they die."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from batchord.core.errors import BatchordError, TransientError, UnknownPipeline
from batchord.core.process.fault_points import fault
from batchord.core.reasons import LossCause
from batchord.core.run.messages import LONGEST_DELAY, AlertsKept, Message, ShardReady, StepReady
from batchord.flow.begin import start
from batchord.flow.dispatch import plan_in_place, to_plan_in_place, work_off
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.predict.shard import ShardHeld
from batchord.flow.upkeep import audit, prune, recover, watch
from tests.simulation.actors import Actor, State
from tests.simulation.broker import Sent, Task
from tests.simulation.questions import uncommitted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulation.system import Edition, SimulatedParts
    from tests.simulation.world import World

#: How often Celery hands a message back that no worker knows.
_MOST_HAND_BACKS = 8
#: When a dead machine's message is delivered again.
_VISIBILITY = 900.0
#: Celery's waits before it tries again.
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 60.0


@dataclass(kw_only=True)
class Process:
    """A process of a worker's pool. It does one thing at a time."""

    machine: str
    number: int
    #: Whether it has predicted nothing before.
    is_new: bool = True
    #: The code that it has loaded, and since when.
    code: "Edition"
    code_since: float
    busy: Actor | None = None
    #: What it is working on.
    sent: Sent | None = None

    @property
    def name(self) -> str:
        """Its name in the ledger."""
        return f"{self.machine}:{self.number}"


class Workers:
    """Two machines: one with two processes, the other with one."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._started = 0
        self.processes: list[Process] = []
        #: Processes that were killed. They are unwound at the end.
        self.dead: list[Actor] = []
        #: Names of processes that lack memory, and end after their task.
        self.exhausted: set[str] = set()
        #: Errors with which no task may end, and messages that were sent too early.
        self.bugs: list[str] = []
        self.deliveries = 0
        for machine in ("a", "a", "b"):
            self._start(machine)

    def idle(self) -> list[Process]:
        """The processes that can take a message."""
        return [process for process in self.processes if process.busy is None]

    def paused(self) -> list[Process]:
        """The processes that wait or were stopped."""
        return [process for process in self.processes if process.busy is not None]

    def take_up(self, code: "Edition", *, machine: str | None = None) -> None:
        """Lets all idle processes, or those of one machine, load the pipelines' newest text."""
        for process in self.idle():
            if machine in (None, process.machine) and process.code is not code:
                process.code, process.code_since = code, self._world.time

    def deliver(self, sent: Sent, process: Process, *, doubled: bool = False) -> None:
        """Gives a message to a process, and lets it work until it is done, waits, stops or dies.

        Raises what a task raised that none may raise.
        """
        self.deliveries += 1
        if not doubled:
            self._world.broker.take(sent)
        self._world.tell(f"{process.name} gets {sent}")
        process.sent = sent
        process.busy = Actor(process.name, partial(self._work, process, sent))
        self.go_on(process)

    def go_on(self, process: Process) -> None:
        """Lets a process that has something to do go on."""
        actor = process.busy
        assert actor is not None
        actor.resume()
        if actor.state is State.KILLED:
            self._bury(process)
        elif actor.state is State.OVER:
            process.busy = process.sent = None
            if actor.error is not None:
                raise actor.error
            if process.name in self.exhausted:  # as workers.replacing does
                self._replace(process)

    def publish(self, parts: "SimulatedParts", messages: "Sequence[Message]") -> None:
        """What ``batchord.queue.publisher`` does, with the same place for a fault."""
        world = self._world
        for message in messages:
            fault("after-commit-before-publish")
            if world.has("lose") and world.chance.happens("lose", 0.04):
                world.tell(f"the broker loses {type(message).__name__}")
                continue
            if uncommitted(world, message):
                self.bugs.append(f"a message was sent before its commit: {message}")
            world.broker.publish(message, catalog=parts.catalog, now=world.time)

    def _start(self, machine: str) -> None:
        """Starts a process. It loads what its machine has loaded; a new machine loads the newest text."""
        self._started += 1
        world = self._world
        older = [each for each in self.processes if each.machine == machine]
        code, since = (older[0].code, older[0].code_since) if older else (world.editions[-1], world.time)
        self.processes.append(Process(machine=machine, number=self._started, code=code, code_since=since))

    def _replace(self, process: Process) -> None:
        self._start(process.machine)
        self.processes.remove(process)

    def _bury(self, process: Process) -> None:
        """What a killed process's parent, the server and the broker do about it."""
        actor, sent = process.busy, process.sent
        assert actor is not None
        assert sent is not None
        self._world.sessions.cut([*actor.sessions])
        self.dead.append(actor)
        self._replace(process)
        if not actor.lost_with_machine:
            try:
                self._note_loss(process, sent)
            except BatchordError as error:
                self._world.tell(f"the parent of {process.name} cannot note the loss: {error}")
        if self._world.has("lose") and self._world.chance.happens("lose-unacknowledged", 0.3):
            self._world.tell(f"the broker loses {sent}")
        else:
            self._world.broker.give_back(sent, due=self._world.time + (_VISIBILITY if actor.lost_with_machine else 0))

    def _note_loss(self, process: Process, sent: Sent) -> None:
        """What ``workers.losses`` does."""
        cause = LossCause.KILLED
        ledger = self._world.parts.ledger
        match sent.what:
            case ShardReady(run_id=run_id, step=step, index=index):
                ledger.shards.lose(run_id, step, index, worker=process.name, cause=cause, error="lost: SIGKILL")
            case StepReady(run_id=run_id, step=step, sharded=False):
                ledger.runs.lose_step(run_id, step, worker=process.name, cause=cause, error="lost: SIGKILL")

    def _work(self, process: Process, sent: Sent) -> None:
        """What ``workers.tasks`` does around a verb."""
        world, parts = self._world, self._parts_of(process, sent)
        try:
            self._publish_or_plan(parts, sent, self._called(parts, sent, process))
            if isinstance(sent.what, ShardReady):
                parts.ledger.shards.failure(sent.what.run_id, sent.what.step, sent.what.index)
                process.is_new = False
        except ShardHeld:
            world.tell("another worker has it")
        except TransientError as error:
            self._again(sent, error, error.wait)
        except UnknownPipeline as error:
            if sent.retries < _MOST_HAND_BACKS:
                self._again(sent, error, None)
            else:
                world.broker.count(sent.chord, now=world.time, failed=True)
        except Exception as error:
            self.bugs.append(f"{sent} ended with {type(error).__name__}: {error}")
            raise
        else:
            world.broker.count(sent.chord, now=world.time)

    def _publish_or_plan(self, parts: "SimulatedParts", sent: Sent, messages: list[Message]) -> None:
        """What ``workers.tasks.publish_or_plan`` does for ticks, and ``publish`` for all other tasks."""
        ready = to_plan_in_place(messages) if isinstance(sent.what, Task) and sent.what.name == "tick" else None
        self.publish(parts, [message for message in messages if message is not ready])
        if ready is not None:
            self._world.tell("plans in place")
            self.publish(parts, plan_in_place(parts, ready))

    def _again(self, sent: Sent, error: Exception, wait: float | None) -> None:
        """Celery's retry. Beat sends some tasks again by itself; a long wait is the sweeper's."""
        usual = min(_LONGEST_WAIT, _FIRST_WAIT * 2**sent.retries)
        seconds = usual if wait is None else wait
        is_periodic = isinstance(sent.what, AlertsKept) or sent.what in (Task(name="sweep"), Task(name="watch"))
        if is_periodic or seconds > LONGEST_DELAY:
            return
        world = self._world
        world.tell(f"tries again in {seconds:.0f} s: {error}")
        world.broker.send(sent.what, now=world.time, delay=seconds, retries=sent.retries + 1, chord=sent.chord)

    def _parts_of(self, process: Process, sent: Sent) -> "SimulatedParts":
        since = datetime.fromtimestamp(process.code_since, UTC)
        task = f"task-{sent.id}"
        return replace(self._world.parts, catalog=process.code, code_since=since, worker=process.name, task=task)

    def _called(self, parts: "SimulatedParts", sent: Sent, process: Process) -> list[Message]:
        what = sent.what
        if not isinstance(what, Task):
            return work_off(parts, what, in_new_process=process.is_new)
        pipeline = str(what.pipeline)
        verbs: dict[str, Callable[[], list[Message]]] = {
            "tick": lambda: start.tick(parts, pipeline=pipeline)[1],
            "run": lambda: start.start_run(parts, pipeline=pipeline, trigger="call", request=f"r{sent.id}")[1],
            "sweep": lambda: recover.sweep(parts),
            "watch": lambda: watch.watch(parts),
            "audit": lambda: [message for messages in audit.audit_all(parts) for message in messages],
            "prune": partial(_pruned, parts),
            "cancel": lambda: cancel_run(parts, run_id=what.run_id),
        }
        return verbs[what.name]()


def _pruned(parts: "SimulatedParts") -> list[Message]:
    prune.prune(parts)
    return []
