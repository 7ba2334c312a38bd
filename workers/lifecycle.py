"""What a worker process does when it starts and ends."""

import importlib
import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

from celery import current_task, signals
from celery.concurrency import get_implementation
from celery.concurrency.prefork import TaskPool as PreforkPool

from app.settings import settings

# Before any numeric library is imported in a child: several processes with several threads each thrash.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(settings().torch_threads))
# The tokenizers' own threads do not survive a fork, and the worker's processes fill the cores already.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class _Json(logging.Formatter):
    """One JSON object per line, with the task and its arguments' names for a log collector."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if current_task:
            line["task"] = current_task.name
            kwargs = current_task.request.kwargs or {}
            line.update({name: kwargs[name] for name in ("run_id", "step", "index") if name in kwargs})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def set_up_logging(loglevel: int | str | None = None, **_: Any) -> None:
    """Logs to standard error, for people or for collectors by ``BATCHORD_LOG_FORMAT``."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(processName)s %(name)s: %(message)s")
    handler.setFormatter(_Json() if settings().log_format == "json" else text)
    logging.basicConfig(level=loglevel or logging.INFO, handlers=[handler], force=True)
    for noisy in ("httpx", "botocore", "urllib3", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def load_frames(sender: Any = None, **_: Any) -> None:
    """Before the pool's processes are forked, which then share the library's memory instead of loading it each.

    A control worker, whose pool is of threads, needs none of it and starts without.
    """
    if issubclass(get_implementation(sender.pool_cls), PreforkPool):
        importlib.import_module("pandas")


@signals.task_revoked.connect  # type: ignore[untyped-decorator]
def cancel_revoked_run(request: Any = None, *, terminated: bool = False, **_: Any) -> None:
    """Flower's "terminate" on a shard's task ends its run, as ``batchord cancel`` does."""
    if not terminated or request is None or request.task != "batchord.predict_shard":
        return
    from app.flow.cancel import cancel_run
    from app.wiring import parts
    from workers.tasks import publish

    publish(cancel_run(parts(), run_id=request.kwargs["run_id"], who="by a revoked task"))


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def close_ledger(**_: Any) -> None:
    """Ends this process's connections, so that PostgreSQL need not notice by itself."""
    from app.wiring import ledger

    ledger().close()
