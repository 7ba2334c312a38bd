"""Every setting of Celery's that matters, with its reason; read when the app first needs one.

The rule behind all of them: PostgreSQL holds the truth, messages may be lost, doubled, late or out of order.
"""

import sys
from pathlib import Path
from typing import Any

from kombu import Queue

from batchord.core.addresses.redis import without_tls_options
from batchord.core.errors import ConfigurationError
from batchord.output.masking import mask
from batchord.settings import Settings, settings

#: Work is routed by kind, never by priority: a priority on Redis is a set of lists that are polled in turn.
QUEUES = ("control", "text", "image", "table", "train", "steps")

#: Sockets that never answer must not hold a worker for ever, and idle ones must survive a firewall.
_SOCKETS = {
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
#: What stands before the names of ``workers`` and ``beat``: ``batchord.`` where Batchord is installed.
_AROUND = __name__.removesuffix("app.configuration")


def celery_settings() -> dict[str, Any]:
    """By Celery's names. Raises ConfigurationError without a usable address of Redis; ends one of Celery's commands."""
    configured, address = _configured()
    redis_url, tls = without_tls_options(address)
    return {
        "broker_url": redis_url,
        "result_backend": f"batchord.queue.replies:SecretFreeBackend+{redis_url}",
        # Beside the address, not in it: Flower reads them here alone, and each client reads an address differently.
        # RedBeat takes the broker's. None: without TLS.
        "broker_use_ssl": tls or None,
        "redis_backend_use_ssl": tls or None,
        # Named, not imported: the app does not know who runs it.
        "include": [f"{_AROUND}workers.{name}" for name in ("tasks", "lifecycle", "memory", "inner_processes")],
        # -- Delivery ------------------------------------------------------------------------------------------
        # A message is acknowledged when its work is done, so that a dead worker's message comes back.
        "task_acks_late": True,
        # The same when a pool child dies; attempts are counted in the ledger, so this cannot loop for ever.
        "task_reject_on_worker_lost": True,
        # Shards are long: one in hand and none hoarded, or an idle worker would wait beside a full one.
        "worker_prefetch_multiplier": 1,
        # Late acknowledgement bounds what a worker takes, and no drift was seen: decision 0049.
        "worker_disable_prefetch": False,
        # True loses a chord part when a worker dies between storing its result and counting it.
        "worker_deduplicate_successful_tasks": False,
        # Celery's own consumer, but it bears the loss of its connection: see there.
        "worker_consumer": f"{_AROUND}workers.consumer:LossBearingConsumer",
        # True would kill what runs at a lost connection: a lost worker for each shard, and a minute until its lease
        # ends.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        # None: a worker waits for Redis without a limit; its operator decides when to give up.
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            # Longer than any shard may take; what outlasts it meets a live lease and is ignored.
            "visibility_timeout": configured.visibility_timeout_seconds,
            # Together how often messages past that time are looked for: about every 10 s instead of every 100 s.
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            # Without retry_on_timeout: with it, redis-py connects again by itself where a subscription's connection is
            # cut, forgets to subscribe, and reads on without a time limit: the worker would never take a message again.
            **_SOCKETS,
        },
        # -- Messages ------------------------------------------------------------------------------------------
        "task_serializer": "json",
        "result_serializer": "json",
        # Nothing but JSON is ever read: a pickle runs code.
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "enable_utc": True,
        "timezone": "UTC",
        "task_queues": [Queue(name) for name in QUEUES],
        "task_default_queue": "control",
        # A step may name a queue of its own, for workers that alone can execute it; it is made when it is first used.
        "task_create_missing_queues": True,
        # A publish that fails for longer is left to the sweeper.
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
        # A result is a shard's index, read within seconds; the truth is in the ledger.
        "result_expires": 3600,
        # Longer than a run's shards may wait in a queue; when it runs out the sweeper finishes the run.
        "result_chord_expires": 24 * 3600,
        # -- Ends ----------------------------------------------------------------------------------------------
        # Started with REMAP_SIGTERM=SIGQUIT, a worker that is told to stop gives running shards this long.
        "worker_soft_shutdown_timeout": configured.shutdown_seconds,
        # -- Visibility: what Flower shows -----------------------------------------------------------------------
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "task_track_started": True,
        # Celery would replace the log handlers that workers.lifecycle sets up.
        "worker_hijack_root_logger": False,
        # -- Beat ----------------------------------------------------------------------------------------------
        # RedBeat, with its entries taken from the catalog. Its address, which Celery would show with the password, is
        # set there: beat alone needs it.
        "beat_scheduler": f"{_AROUND}beat.schedule:PipelineScheduler",
        "beat_max_loop_interval": 1,
        "redbeat_redis_options": {**_SOCKETS, "retry_on_timeout": True, "retry_period": 10},
        "redbeat_key_prefix": "batchord:beat:",
        # At least five loops, or a slow one would lose the lock; at most what a standby may wait.
        "redbeat_lock_timeout": 10,
    }


def _configured() -> tuple[Settings, str]:
    """The settings, and Redis's address. Celery's own commands end with one line where these cannot be used."""
    try:
        return settings(), settings().require_redis_url()
    except ConfigurationError as error:
        program = Path(sys.argv[0])
        if "celery" in (program.name, program.parent.name):  # it would print a traceback instead of the error
            sys.exit(f"ConfigurationError: {mask(str(error))}")
        raise
