"""What a worker does when it starts and ends."""

import importlib
import logging
import os
import sys
from contextlib import suppress
from typing import Any

from celery import current_task, signals
from celery.concurrency import get_implementation
from celery.concurrency.prefork import TaskPool as PreforkPool

from batchord.core.errors import ConfigurationError, TransientError
from batchord.flow.attempt import log as attempt_log
from batchord.output.masking import mask
from batchord.processes.threads import limit_threads
from batchord.queue.redis_server import check_redis
from batchord.settings import settings

from .log_format import log_formatter
from .revoking import asker_of, listen
from .transport import tolerate

# This comes before the worker's first connection: Kombu keeps the class of transport that it found for an address.
tolerate()
# This comes before any numeric library is imported: several processes with several threads each slow each other down.
limit_threads(settings().torch_threads)
# The tokenizers' own threads do not survive a fork, and the worker's processes already use all cores.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def set_up_logging(loglevel: int | str | None = None, **_: Any) -> None:
    """Sets up the log by ``BATCHORD_LOG_FORMAT``: text to standard error, or JSON to standard output.

    Records of an attempt also go to the attempt's own log.
    """
    configured = settings()
    handler = logging.StreamHandler(sys.stdout if configured.log_format == "json" else sys.stderr)
    handler.setFormatter(log_formatter(configured.log_format, mask=mask, more=_task))
    logging.basicConfig(level=loglevel or logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)  # noqa: FBT003 -- logging's own signature
    for noisy in ("httpx", "botocore", "urllib3", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    attempt_log.install(log_printed=True)


def _task() -> dict[str, Any]:
    """The running task, and those of its arguments that say which run, step and shard a line belongs to."""
    if not current_task:
        return {}
    kwargs = current_task.request.kwargs or {}
    names = {"run_id": "run_id", "step": "step", "index": "shard"}
    return {"task": current_task.name} | {names[name]: kwargs[name] for name in names if name in kwargs}


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def refuse_wrong_configuration(**_: Any) -> None:
    """Ends a worker with a wrong password or a similar mistake at once, with one line, instead of trying for ever.

    If a server does not answer, the worker waits for it.
    """
    from batchord.wiring import ledger, require_extras

    try:
        require_extras()
        check_redis(settings().require_redis_url())
        with suppress(TransientError):
            ledger().check()
    except ConfigurationError as error:
        sys.exit(f"Error: {mask(str(error))}")


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def load_libraries(sender: Any = None, **_: Any) -> None:
    """Imports libraries before the pool's processes are forked, so that these share the libraries' memory.

    A control worker has a pool of threads and needs no pandas, so it starts without.
    """
    from batchord.wiring import load_adapters

    load_adapters()
    if issubclass(get_implementation(sender.pool_cls), PreforkPool):
        importlib.import_module("pandas")


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def replace_processes(**_: Any) -> None:
    """Makes the next task load edited code, and replaces processes that have had the old code."""
    from celery.concurrency.asynpool import AsynPool

    from batchord.wiring import decide_on_code

    from .replacing import ReplaceableWorker

    decide_on_code()
    # Celery has no setting for this. A pool class of our own would have to be named at each start of a worker.
    AsynPool.Worker = ReplaceableWorker


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def note_who_revokes(**_: Any) -> None:
    """Makes the worker remember who revokes tasks, before it listens to commands."""
    listen()


@signals.task_revoked.connect  # type: ignore[untyped-decorator]
def cancel_revoked_run(request: Any = None, *, terminated: bool = False, **_: Any) -> None:
    """Flower's "terminate" on a shard's or a step's task ends its run, as ``batchord cancel`` does."""
    if not terminated or request is None or request.task not in ("batchord.predict_shard", "batchord.run_step"):
        return
    from batchord.flow.drive.cancel import cancel_run
    from batchord.wiring import parts

    from .tasks import publish

    actor = asker_of(request.id)
    publish(cancel_run(parts(), run_id=request.kwargs["run_id"], who="by a revoked task", actor=actor))


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def close_ledger(**_: Any) -> None:
    """Closes this process's connections, so that PostgreSQL notices at once."""
    from batchord.wiring import ledger

    ledger().close()
