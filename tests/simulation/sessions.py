"""Sessions of the simulated stack with a real PostgreSQL. They break when the schedule says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import ExecStatus
from psycopg.rows import DictRow, dict_row

from batchord.ledger.connection import Connections
from tests.simulation.actors import State, current

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.world import World

_PREPARED: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": 0,
    "options": "-c plan_cache_mode=force_generic_plan",
}
#: What libpq says when a connection ends.
_CUT = "server closed the connection unexpectedly"


class Session(psycopg.Connection[DictRow]):
    """A session that asks, before each statement, whether its connection breaks now.

    A transaction has the world's time when it begins, not when its process wanted it.
    """

    at_statement: "Callable[[Session], None]"
    tell_time: "Callable[[], str]"

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> psycopg.Cursor[DictRow]:
        """See psycopg."""
        if isinstance(query, bytes) and params is None:  # the beginning of a transaction: nobody reads its result
            begin = query + f"; SET LOCAL simulation.now = '{self.tell_time()}'".encode()
            self.at_statement(self)
            self.run(begin)
            return self.cursor()
        self.at_statement(self)
        return super().execute(query, params, **kwargs)

    def run(self, command: bytes) -> None:
        """Executes a command without a result, in a tenth of the time that psycopg's cursors take."""
        result = self.pgconn.exec_(command)
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
            raise psycopg.errors.error_from_result(result)


class Sessions:
    """The pool of all processes: a session belongs to one of them for as long as its transaction.

    It outlives a schedule, since a new session takes PostgreSQL 10 ms until it knows the ledger's tables. Every
    statement is prepared, with one plan for all values: how often a session had it before must not decide how it is
    executed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Session] = []
        #: For questions and repairs from outside; nothing of it breaks.
        self.outside = psycopg.connect(url, row_factory=dict_row, **_PREPARED)
        #: The world that has the sessions now.
        self._world: World

    def serve(self, world: "World") -> None:
        """Gives the sessions to another world."""
        self._world = world

    @contextmanager
    def connection(self) -> Iterator[Session]:
        """The interface of psycopg's pool: commits at the end of the block, rolls back if the block raises."""
        actor = current()
        self._world.at("begin")
        session = self._take()
        if actor is not None:
            actor.sessions.add(session)
            actor.in_transaction = True
        try:
            yield session
            if not session.closed:  # as psycopg: its user closed it
                self._commit(session)
        except BaseException:
            if not session.closed:
                session.rollback()
            raise
        finally:
            if actor is not None and actor.state is not State.KILLED:
                actor.sessions.discard(session)
                actor.in_transaction = False
            if not session.closed:
                self._idle.append(session)
        self._world.at("committed")

    def check(self) -> None:
        """The interface of psycopg's pool: lost sessions are forgotten when they are taken."""

    def _commit(self, session: Session) -> None:
        world = self._world
        world.at("before-commit")
        if world.cuts("cut before the commit took effect"):
            self.cut([session])
            raise psycopg.OperationalError(_CUT)
        session.run(b"COMMIT")
        if world.cuts("cut after the commit took effect"):
            self.cut([session])
            raise psycopg.OperationalError(_CUT)
        world.at("after-commit")

    def _take(self) -> Session:
        while self._idle:
            session = self._idle.pop()
            if not session.closed:
                return session
        session = Session.connect(self._url, row_factory=dict_row, **_PREPARED)
        session.at_statement = self._at_statement
        session.tell_time = self._tell_time
        return session

    def _tell_time(self) -> str:
        return self._world.tell_time()

    def _at_statement(self, session: Session) -> None:
        if self._world.cuts("cut in a statement", 0.002):
            self.cut([session])
            raise psycopg.OperationalError(_CUT)

    def cut(self, sessions: "list[psycopg.Connection[Any]]") -> None:
        """Cuts connections. Returns when the server has noticed: when it does so must not depend on this machine."""
        pids = [session.info.backend_pid for session in sessions if not session.closed]
        for session in sessions:
            session.close()
        alive = "SELECT FROM pg_catalog.pg_stat_activity WHERE pid = ANY(%s)"
        while pids and self.outside.execute(alive, [pids]).rowcount:
            pass

    def close(self) -> None:
        """Ends all sessions that are not in use, and the one from outside."""
        self.cut([*self._idle])
        self.outside.close()


class SimulatedConnections(Connections):
    """The ledger's connections over :class:`Sessions`."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__("postgresql://simulated/ledger")  # errors name it
        self._pool = lambda: sessions  # type: ignore[assignment, return-value]
