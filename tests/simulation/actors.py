"""The processes of a simulated stack: threads, of which only one runs at a time.

A process that is killed is a thread that nobody continues: nothing of its code runs any more, no ``finally`` and no
``except``, as after SIGKILL. When the schedule is over, it is unwound with :class:`Died`.
"""

import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from tests.simulation.inline import InlineHeartbeat


class Died(BaseException):
    """Unwinds the thread of a killed process when the schedule is over."""


class State(Enum):
    """What a process is doing."""

    #: It waits for a server or computes; its heartbeat goes on.
    SLOW = auto()
    #: It was stopped, and its heartbeat with it.
    STOPPED = auto()
    KILLED = auto()
    OVER = auto()


_here = threading.local()


def current() -> "Actor | None":
    """The process whose thread calls; None: the simulation itself, or a person's command."""
    actor: Actor | None = getattr(_here, "actor", None)
    return actor


class Actor:
    """A process while it does one thing, from the receipt of a message to its acknowledgement."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.name = name
        self.state = State.SLOW
        #: What the work raised, if it did.
        self.error: BaseException | None = None
        #: Connections to the database that it has open.
        self.sessions: set[psycopg.Connection[Any]] = set()
        #: Whether it is within a transaction on the ledger, in which it may hold locks.
        self.in_transaction = False
        self.heartbeats: list[InlineHeartbeat] = []
        #: Whether its whole machine was lost with it, so that no parent can tell of its end.
        self.lost_with_machine = False
        self._work = work
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=f"simulated-{name}", daemon=True)
        self._thread.start()

    def resume(self) -> None:
        """Lets the process go on, until it is over or pauses. It must not have been killed."""
        self.state = State.SLOW
        self._go.release()
        self._back.acquire()

    def pause(self, state: State) -> None:
        """Called by the process itself: gives the turn back. It returns when the process is resumed."""
        self.state = state
        self._back.release()
        self._go.acquire()
        if self.state is State.KILLED:
            raise Died

    def unwind(self) -> None:
        """Ends the thread of a process that is not over."""
        if self.state is not State.OVER:
            self.state = State.KILLED
            self._go.release()
        self._thread.join()

    def _run(self) -> None:
        self._go.acquire()
        _here.actor = self
        try:
            if self.state is not State.KILLED:
                self._work()
        except Died:
            return
        except BaseException as error:  # noqa: BLE001 -- the caller of resume() finds it in `error`
            self.error = error
        self.state = State.OVER
        self._back.release()
