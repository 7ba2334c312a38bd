"""What a task's message must look like before anything is done with it.

Celery trusts what is in a queue: a time limit that is no number, or an argument list that is none, raises in the
worker's own loop and ends the worker. The message comes back to the next one, and so on.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

#: Longer than any task: ten years. A timer takes no more than so many digits.
_LONGEST_LIMIT = 10 * 365 * 24 * 3600
_MOST_RETRIES = 1_000_000_000
#: How much of an odd value is shown.
_SHOWN = 100


def problem(message: Any) -> str | None:
    """What is wrong with a message that Kombu received; None when a task can be made of it.

    Raises whatever Kombu raises for a body that it cannot read.
    """
    headers, properties = message.headers, message.properties
    if not isinstance(headers, Mapping):
        return f"its headers must be a mapping: {shown(headers)}"
    payload = message.payload
    if "task" in headers:
        fields, body = headers, payload
    elif isinstance(payload, Mapping):  # Celery's protocol 1, which clients in other languages still speak
        fields, body = {**payload, **headers}, _of_protocol_1(payload)
    else:
        return "it does not name a task"
    return _of_fields(fields) or _of_properties(properties) or _of_body(body) or _of_text([fields, properties, body])


def shown(value: Any) -> str:
    """A value as it may stand in one line of a log."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _of_protocol_1(payload: Mapping[str, Any]) -> list[Any]:
    embedded = {name: payload.get(name) for name in ("callbacks", "errbacks", "chord")}
    return [payload.get("args", ()), payload.get("kwargs", {}), embedded]


def _of_fields(fields: Mapping[str, Any]) -> str | None:
    return next(
        (
            f"its {name} is {shown(fields.get(name))}, but must be {wanted}"
            for name, wanted, fits in _FIELDS
            if not fits(fields.get(name))
        ),
        None,
    )


def _of_properties(properties: Any) -> str | None:
    if not isinstance(properties, Mapping):
        return f"its properties must be a mapping: {shown(properties)}"
    for name in ("correlation_id", "reply_to"):
        if not _is_optional_text(properties.get(name)):
            return f"its {name} is {shown(properties[name])}, but must be text"
    return None


def _of_body(body: Any) -> str | None:
    try:
        args, kwargs, embedded = body
    except (TypeError, ValueError):
        return f"its body is {shown(body)}, but must hold arguments, named arguments and the follow-up tasks"
    if not isinstance(args, list | tuple):
        return f"its arguments are {shown(args)}, but must be a list"
    if not isinstance(kwargs, Mapping):
        return f"its named arguments are {shown(kwargs)}, but must be a mapping"
    return _of_embedded(embedded)


def _of_embedded(embedded: Any) -> str | None:
    if not isinstance(embedded, Mapping | None):
        return f"its follow-up tasks are {shown(embedded)}, but must be a mapping"
    for name in ("chord", "callbacks", "errbacks", "chain"):
        value = (embedded or {}).get(name)
        tasks = [value] if name == "chord" else value
        if value is not None and not (isinstance(tasks, list) and all(map(_is_signature, tasks))):
            return f"its {name} must hold only tasks: {shown(value)}"
    return None


def _of_text(value: Any) -> str | None:
    """JSON can hold halves of characters, which can neither be stored nor sent."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple):
            waiting += each
        elif isinstance(each, str) and not _is_text(each):
            return f"it holds half of a surrogate pair, which is not a character: {shown(each)}"
    return None


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_name(value: Any) -> bool:
    return _is_text(value) and value != ""


def _is_optional_text(value: Any) -> bool:
    return value is None or _is_text(value)


def _is_optional_time(value: Any) -> bool:
    return value is None or _is_name(value)


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_RETRIES)


def _is_limit(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and 0 <= value <= _LONGEST_LIMIT


def _is_limits(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple) and len(value) in {0, 2} and all(map(_is_limit, value)))


def _is_optional_list(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple) and all(map(_is_text, value)))


def _is_signature(value: Any) -> bool:
    """Whether a task that is to follow is described in full."""
    return (
        isinstance(value, Mapping)
        and _is_name(value.get("task"))
        and isinstance(value.get("args"), list | tuple)
        and isinstance(value.get("kwargs"), Mapping)
        and isinstance(options := value.get("options"), Mapping)
        and all(_is_optional_text(options.get(name)) for name in ("task_id", "root_id", "parent_id", "group_id"))
        and _is_optional_text(value.get("subtask_type"))
    )


def _is_optional_mapping(value: Any) -> bool:
    return isinstance(value, Mapping | None)


#: A message's fields that Celery's worker looks at, what they must be, and whether they are.
_FIELDS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("task", "a name", _is_name),
    ("id", "a name", _is_name),
    *((name, "text", _is_optional_text) for name in ("root_id", "parent_id", "group", "shadow", "origin", "lang")),
    *((name, "text", _is_optional_text) for name in ("argsrepr", "kwargsrepr")),
    ("eta", "a time as text", _is_optional_time),
    ("expires", "a time as text", _is_optional_time),
    ("retries", "a number of attempts", _is_count),
    ("replaced_task_nesting", "a number", _is_count),
    ("group_index", "a number", _is_count),
    ("timelimit", "two numbers of seconds", _is_limits),
    ("stamped_headers", "a list of names", _is_optional_list),
    ("groups", "a list of names", _is_optional_list),
    ("stamps", "a mapping", _is_optional_mapping),
)
