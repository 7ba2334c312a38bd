"""Checks the form of a task's message before the worker uses it.

Celery trusts the messages in a queue. If a time limit is not a number, or the arguments are not a list, the worker's
own loop raises and the worker ends. Then the message comes back to the next worker, and so on.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

#: The longest time limit: ten years. A timer cannot hold a much larger number.
_LONGEST_LIMIT = 10 * 365 * 24 * 3600
_MOST_RETRIES = 1_000_000_000
#: The most characters of an odd value to show.
_SHOWN = 100


def problem(message: Any) -> str | None:
    """The problem of a message that Kombu received; None if it is a valid task.

    Raises the error that Kombu raises for a body that it cannot read.
    """
    headers, properties = message.headers, message.properties
    if not isinstance(headers, Mapping):
        return f"its headers must be a mapping: {shown(headers)}"
    payload = message.payload
    if "task" in headers:
        fields, body = headers, payload
    elif isinstance(payload, Mapping):  # Celery's protocol 1, which clients in other languages still use
        fields, body = {**payload, **headers}, _body_of_protocol_1(payload)
    else:
        return "it does not name a task"
    return (
        _problem_of_fields(fields)
        or _problem_of_properties(properties)
        or _problem_of_body(body)
        or _problem_of_texts([fields, properties, body])
    )


def shown(value: Any) -> str:
    """A value as a short text for a line of a log."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _body_of_protocol_1(payload: Mapping[str, Any]) -> list[Any]:
    embedded = {name: payload.get(name) for name in ("callbacks", "errbacks", "chord")}
    return [payload.get("args", ()), payload.get("kwargs", {}), embedded]


def _problem_of_fields(fields: Mapping[str, Any]) -> str | None:
    return next(
        (
            f"its {name} is {shown(fields.get(name))}, but must be {wanted}"
            for name, wanted, fits in _FIELDS
            if not fits(fields.get(name))
        ),
        None,
    )


def _problem_of_properties(properties: Any) -> str | None:
    if not isinstance(properties, Mapping):
        return f"its properties must be a mapping: {shown(properties)}"
    for name in ("correlation_id", "reply_to"):
        if not _is_optional_text(properties.get(name)):
            return f"its {name} is {shown(properties[name])}, but must be text"
    return None


def _problem_of_body(body: Any) -> str | None:
    try:
        args, kwargs, embedded = body
    except (TypeError, ValueError):
        return f"its body is {shown(body)}, but must hold arguments, named arguments and the follow-up tasks"
    if not isinstance(args, list | tuple):
        return f"its arguments are {shown(args)}, but must be a list"
    if not isinstance(kwargs, Mapping):
        return f"its named arguments are {shown(kwargs)}, but must be a mapping"
    return _problem_of_embedded(embedded)


def _problem_of_embedded(embedded: Any) -> str | None:
    if not isinstance(embedded, Mapping | None):
        return f"its follow-up tasks are {shown(embedded)}, but must be a mapping"
    for name in ("chord", "callbacks", "errbacks", "chain"):
        value = (embedded or {}).get(name)
        tasks = [value] if name == "chord" else value
        if value is not None and not (isinstance(tasks, list) and all(map(_is_signature, tasks))):
            return f"its {name} must hold only tasks: {shown(value)}"
    return None


def _problem_of_texts(value: Any) -> str | None:
    """Looks for halves of characters, which JSON can hold, but which can neither be stored nor sent."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item
        elif isinstance(item, str) and not _is_text(item):
            return f"it holds half of a surrogate pair, which is not a character: {shown(item)}"
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
    """Whether ``value`` is the full signature of a follow-up task."""
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


#: The fields of a message that Celery's worker reads: the name, what it must be in words, and the check.
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
