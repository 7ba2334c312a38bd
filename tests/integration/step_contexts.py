"""What a step is executed with, for tests that call its ``execute()`` themselves."""

import threading
from pathlib import Path
from typing import Any

from batchord.core.declared.context import RunContext
from batchord.core.declared.step_context import StepContext
from batchord.core.run.leases import StepLease


def step_context(
    database_url: str, lease: StepLease, *, time_limit: float | None = 60, params: dict[str, Any] | None = None
) -> StepContext:
    """The context of an attempt that has the lease; its log goes nowhere, and it knows no secrets."""
    run = RunContext(
        id=lease.run_id, pipeline="p", step=lease.step, attempt=lease.attempt, kind="manual", params=params or {}
    )
    return StepContext(
        run=run,
        time_limit=time_limit,
        stop=threading.Event(),
        line=lambda _stream, _text: None,
        secrets=lambda _names: {},
        home=Path(),
        database_url=database_url,
        lock_seconds=60,
        token=lease.token,
    )
