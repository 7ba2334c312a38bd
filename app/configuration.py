"""Every setting of Celery that matters, with its reason. The app reads them when it first needs one.

The rule behind them: PostgreSQL holds the truth, and messages may be lost, doubled, late or out of order.
"""

import sys
from pathlib import Path
from typing import Any

from kombu import Queue

from batchord.core.addresses.redis import without_tls_options
from batchord.core.errors import ConfigurationError
from batchord.output.masking import mask
from batchord.settings import Settings, settings

#: Queues are for kinds of work, never for priorities: on Redis, a priority is a set of lists that are polled in turn.
QUEUES = ("control", "text", "image", "table", "train", "steps")

#: A socket that never answers must not block a worker for ever, and an idle one must survive a firewall.
_SOCKETS = {
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
#: The prefix of the names of ``workers`` and ``beat``: ``batchord.`` in an installed Batchord, otherwise empty.
_AROUND = __name__.removesuffix("app.configuration")


def celery_settings() -> dict[str, Any]:
    """The settings by Celery's names.

    Without a usable address of Redis, one of Celery's commands ends with one line; any other program gets a
    ConfigurationError.
    """
    configured, address = _configured()
    redis_url, tls = without_tls_options(address)
    return {
        "broker_url": redis_url,
        "result_backend": f"batchord.queue.replies:SecretFreeBackend+{redis_url}",
        # The TLS options are not in the address: Flower reads them only here, and each client reads an address
        # differently. RedBeat uses the broker's. None: no TLS.
        "broker_use_ssl": tls or None,
        "redis_backend_use_ssl": tls or None,
        # Names, not imports: the app does not import the code that runs it.
        "include": [f"{_AROUND}workers.{name}" for name in ("tasks", "lifecycle", "memory", "inner_processes")],
        # -- Delivery ------------------------------------------------------------------------------------------
        # A worker acknowledges a message when its work is done, so that a dead worker's message comes back.
        "task_acks_late": True,
        # The message also comes back if a child of the pool dies. The ledger counts attempts, so this cannot loop.
        "task_reject_on_worker_lost": True,
        # Shards are long. A process takes one and reserves no other; otherwise one worker would idle beside a full one.
        "worker_prefetch_multiplier": 1,
        # Late acknowledgement already limits what a worker takes, and we have seen no drift: decision 0049.
        "worker_disable_prefetch": False,
        # True would lose a part of a chord if a worker dies between storing its result and counting it.
        "worker_deduplicate_successful_tasks": False,
        # This consumer survives the loss of its connection.
        "worker_consumer": f"{_AROUND}workers.consumer:LossBearingConsumer",
        # True would kill running tasks at a lost connection: each shard would lose a worker and wait a minute for the
        # end of its lease.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        # None: a worker waits for Redis without a limit. Its operator decides when to give up.
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            # Longer than any shard may take. If a message comes back earlier, it meets a live lease and is ignored.
            "visibility_timeout": configured.visibility_timeout_seconds,
            # With these two, a worker looks for messages past that time about every 10 s instead of every 100 s.
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            # No retry_on_timeout: with it, redis-py reconnects by itself after a subscription's connection was cut,
            # forgets to subscribe, and reads on without a time limit. The worker would never get a message again.
            **_SOCKETS,
        },
        # -- Messages ------------------------------------------------------------------------------------------
        "task_serializer": "json",
        "result_serializer": "json",
        # Batchord reads only JSON: a pickle runs code.
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "enable_utc": True,
        "timezone": "UTC",
        "task_queues": [Queue(name) for name in QUEUES],
        "task_default_queue": "control",
        # A step may name a queue of its own, for the only workers that can execute it. Celery creates it on first use.
        "task_create_missing_queues": True,
        # If publishing fails for longer, the sweeper sends the message.
        "task_publish_retry_policy": {"max_retries": 5, "interval_start": 0.1, "interval_step": 0.5, "interval_max": 2},
        # -- Results: only what a chord needs to count its parts -------------------------------------------------
        "result_backend_always_retry": True,
        "result_backend_max_retries": 20,
        "result_backend_transport_options": {"retry_policy": {"max_retries": 5, "interval_max": 2}},
        "redis_socket_timeout": _SOCKETS["socket_timeout"],
        "redis_socket_connect_timeout": _SOCKETS["socket_connect_timeout"],
        "redis_socket_keepalive": True,
        "redis_retry_on_timeout": True,
        "redis_backend_health_check_interval": _SOCKETS["health_check_interval"],
        # A result is a shard's index, which is read within seconds. The truth is in the ledger.
        "result_expires": 3600,
        # Longer than a run's shards may wait in a queue. If it runs out, the sweeper finishes the run.
        "result_chord_expires": 24 * 3600,
        # -- Ends ----------------------------------------------------------------------------------------------
        # With REMAP_SIGTERM=SIGQUIT, a worker that is told to stop lets running shards continue for this time.
        "worker_soft_shutdown_timeout": configured.shutdown_seconds,
        # -- Visibility: what Flower shows -----------------------------------------------------------------------
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "task_track_started": True,
        # Celery would replace the log handlers that workers.lifecycle sets up.
        "worker_hijack_root_logger": False,
        # -- Beat ----------------------------------------------------------------------------------------------
        # RedBeat with entries from the catalog. The scheduler sets RedBeat's address itself: only beat needs it, and
        # Celery would show it with the password.
        "beat_scheduler": f"{_AROUND}beat.schedule:PipelineScheduler",
        "beat_max_loop_interval": 1,
        "redbeat_redis_options": {**_SOCKETS, "retry_on_timeout": True, "retry_period": 10},
        "redbeat_key_prefix": "batchord:beat:",
        # At least five loops: otherwise a slow loop would lose the lock. At most the time that a standby may wait.
        "redbeat_lock_timeout": 10,
    }


def _configured() -> tuple[Settings, str]:
    """The settings, and Redis's address. If these cannot be used, Celery's own commands end with one line."""
    try:
        return settings(), settings().require_redis_url()
    except ConfigurationError as error:
        program = Path(sys.argv[0])
        if "celery" in (program.name, program.parent.name):  # Celery would print a traceback instead of the error
            sys.exit(f"Error: {mask(str(error))}")
        raise
