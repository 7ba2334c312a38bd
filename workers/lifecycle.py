"""What a worker process does when it starts and ends."""

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
from batchord.queue.redis_server import check_redis
from batchord.settings import settings

from .log_format import log_formatter
from .revoking import asker_of, listen
from .transport import tolerate

# Before the worker's first connection: Kombu keeps the class that it found for an address.
tolerate()
# Before any numeric library is imported in a child: several processes with several threads each thrash.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(settings().torch_threads))
# The tokenizers' own threads do not survive a fork, and the worker's processes fill the cores already.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def set_up_logging(loglevel: int | str | None = None, **_: Any) -> None:
    """Logs for people to standard error, or for collectors to standard output, by ``BATCHORD_LOG_FORMAT``.

    What is logged in an attempt goes to the attempt's own log as well.
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
    """The task at work, and of its arguments what says where a line belongs outside of attempts."""
    if not current_task:
        return {}
    kwargs = current_task.request.kwargs or {}
    names = {"run_id": "run_id", "step": "step", "index": "shard"}
    return {"task": current_task.name} | {names[name]: kwargs[name] for name in names if name in kwargs}


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def refuse_what_cannot_heal(**_: Any) -> None:
    """A worker with a wrong password or the like ends at once with one line, instead of trying for ever.

    Servers that do not answer are waited for, as ever.
    """
    from batchord.wiring import ledger

    try:
        check_redis(settings().require_redis_url())
        with suppress(TransientError):
            ledger().check()
    except ConfigurationError as error:
        sys.exit(f"ConfigurationError: {mask(str(error))}")


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def load_libraries(sender: Any = None, **_: Any) -> None:
    """Before the pool's processes are forked, which then share the libraries' memory instead of loading them each.

    A control worker, whose pool is of threads, needs no pandas and starts without.
    """
    from batchord.wiring import load_adapters

    load_adapters()
    if issubclass(get_implementation(sender.pool_cls), PreforkPool):
        importlib.import_module("pandas")


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def replace_processes(**_: Any) -> None:
    """What is edited is loaded anew at the next task, and a process that has had the old code is replaced."""
    from celery.concurrency.asynpool import AsynPool

    from batchord.wiring import decide_on_code

    from .replacing import ReplaceableWorker

    decide_on_code()
    # Celery has no setting for it, and a pool class of our own would have to be named wherever a worker is started.
    AsynPool.Worker = ReplaceableWorker


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def note_who_revokes(**_: Any) -> None:
    """Before the worker listens to commands."""
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
    """Ends this process's connections, so that PostgreSQL need not notice by itself."""
    from batchord.wiring import ledger

    ledger().close()
