"""A PostgreSQL connection that waits only so long for an answer.

The server's own time limits do not help where it stands still itself, or what is between: keepalives are answered by
the kernel, and a read would wait for ever.
"""

import time
from collections.abc import Generator
from typing import Any

import psycopg


class PatientConnection(psycopg.Connection[Any]):
    """Raises OperationalError, and is closed, when one answer takes longer than :attr:`patience`."""

    #: Seconds; None: without end.
    patience: float | None = None

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """See psycopg: everything that is sent and received goes through this."""
        return super().wait(gen if self.patience is None else self._bounded(gen, self.patience), *args, **kwargs)

    def _bounded(self, gen: Any, seconds: float) -> Generator[Any, Any, Any]:
        end = time.monotonic() + seconds
        try:
            wanted = next(gen)
            while True:
                # Nothing comes from time to time, too: so Ctrl-C is seen.
                ready = yield wanted
                if not ready and time.monotonic() > end:
                    gen.close()
                    self.close()
                    raise psycopg.OperationalError(f"no answer within {seconds:g} s")
                wanted = gen.send(ready)
        except StopIteration as end_of_gen:
            return end_of_gen.value
