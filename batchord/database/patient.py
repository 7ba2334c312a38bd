"""A PostgreSQL connection that waits for an answer only for a limited time.

The server's own time limits do not help if the server itself, or a machine in between, stands still: the kernel still
answers keepalives, and a read would wait for ever.
"""

import time
from collections.abc import Generator
from typing import Any

import psycopg


class PatientConnection(psycopg.Connection[Any]):
    """Closes itself and raises OperationalError if one answer takes longer than :attr:`patience`."""

    #: Seconds; None: no limit.
    patience: float | None = None

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """See psycopg. Everything that it sends and receives goes through this method."""
        return super().wait(gen if self.patience is None else self._bounded(gen, self.patience), *args, **kwargs)

    def _bounded(self, gen: Any, seconds: float) -> Generator[Any, Any, Any]:
        end = time.monotonic() + seconds
        try:
            wanted = next(gen)
            while True:
                # psycopg also returns now and then without an event, so that Ctrl-C is noticed.
                ready = yield wanted
                if not ready and time.monotonic() > end:
                    gen.close()
                    self.close()
                    raise psycopg.OperationalError(f"no answer within {seconds:g} s")
                wanted = gen.send(ready)
        except StopIteration as end_of_gen:
            return end_of_gen.value
