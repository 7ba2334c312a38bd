"""What is kept of a change by hand: without secrets, and never more than fits a screen."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from batchord.core.run.history import Actor, Change
from batchord.core.secrets.patterns import masked_value
from batchord.flow.parts import Parts
from batchord.output.known_secrets import known_secrets

#: Characters of one value as JSON, and how many values there are at most.
_LONGEST_VALUE, _MOST_VALUES = 1000, 20


def change(
    parts: Parts,
    actor: Actor | None,
    action: str,
    *,
    pipeline: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Change | None:
    """The change to be written in the transaction that makes it; None where nobody made it by hand.

    ``detail``: what is None in it is left out.
    """
    if actor is None:
        return None
    given = {name: value for name, value in (detail or {}).items() if value is not None}
    known = known_secrets(parts.settings)
    said = masked_value(given, known=known)
    bounded = {name: _bounded(value) for name, value in list(said.items())[:_MOST_VALUES]}
    who = replace(actor, user=masked_value(actor.user, known=known), host=masked_value(actor.host, known=known))
    return Change(action=action, actor=who, pipeline=pipeline, detail=bounded)


def _bounded(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} …"
