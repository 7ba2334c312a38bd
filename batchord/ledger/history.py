"""What people changed by hand, written in the transaction of the change."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from batchord.core.run.history import Change
from batchord.core.run.records import storable
from batchord.ledger.connection import Connection

_KEEP = """
    INSERT INTO batchord.history (action, pipeline, run_id, by_user, by_host, way, detail)
    VALUES (%(action)s, %(pipeline)s, %(run)s, %(user)s, %(host)s, %(way)s, %(detail)s)
"""


def keep_change(connection: Connection, change: Change | None, *, run_id: str | None = None, **more: Any) -> None:
    """Keeps a change by hand; does nothing for None. ``run_id`` and ``more`` are details that exist only now."""
    if change is None:
        return
    connection.execute(
        _KEEP,
        {
            "action": change.action,
            "pipeline": change.pipeline,
            "run": run_id or change.run_id,
            "user": change.actor.user and storable(change.actor.user),
            "host": change.actor.host and storable(change.actor.host),
            "way": change.actor.way.value,
            # json escapes characters that PostgreSQL cannot store, and jsonb refuses these escapes.
            "detail": storable_json({**change.detail, **more}),
        },
    )


def storable_json(detail: Mapping[str, Any]) -> str:
    """JSON that PostgreSQL can store."""
    return json.dumps(_storable(dict(detail)), ensure_ascii=False, default=str)


def _storable(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case Mapping():
            return {storable(str(name)): _storable(item) for name, item in value.items()}
        case float() if not isfinite(value):
            return str(value)
        case list() | tuple():
            return [_storable(item) for item in value]
    return value
