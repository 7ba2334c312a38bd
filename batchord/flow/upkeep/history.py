"""The history's entry for a change by hand: without secrets, and short enough for a screen."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from batchord.core.run.history import Actor, Change
from batchord.core.secrets.patterns import masked_value
from batchord.flow.parts import Parts
from batchord.output.known_secrets import known_secrets

#: The most characters of a value as JSON, and the most values.
_LONGEST_VALUE, _MOST_VALUES = 1000, 20


def change(
    parts: Parts,
    actor: Actor | None,
    action: str,
    *,
    pipeline: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Change | None:
    """The entry to write in the transaction of the change; None if no person made the change.

    Values of ``detail`` that are None are left out.
    """
    if actor is None:
        return None
    values = {name: value for name, value in (detail or {}).items() if value is not None}
    secrets = known_secrets(parts.settings)
    masked = masked_value(values, known=secrets)
    bounded = {name: _bounded(value) for name, value in list(masked.items())[:_MOST_VALUES]}
    return Change(action=action, actor=_masked(actor, secrets), pipeline=pipeline, detail=bounded)


def masked_actor(parts: Parts, actor: Actor | None) -> Actor | None:
    """The person, without secrets; None for None."""
    return None if actor is None else _masked(actor, known_secrets(parts.settings))


def _masked(actor: Actor, secrets: Collection[str]) -> Actor:
    return replace(actor, user=masked_value(actor.user, known=secrets), host=masked_value(actor.host, known=secrets))


def _bounded(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} …"
