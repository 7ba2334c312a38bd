"""Says in words which values a setting may have."""

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

_KINDS = {int: "a whole number", float: "a number", str: "a text", SecretStr: "a text", Path: "a path"}
_LIMITS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


def allowed(field: FieldInfo) -> str:
    """The values that the setting may have: ``a whole number, at least 1``."""
    if field.examples:
        return " or ".join(f"`{example}`" for example in field.examples)
    kind = next(part for part in _parts(field.annotation) if part is not type(None))
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    limits = [
        f"{word} {value:,}"
        for limit in field.metadata
        for name, word in _LIMITS.items()
        if (value := getattr(limit, name, None)) is not None
    ]
    return ", ".join([_KINDS[kind], " and ".join(limits)] if limits else [_KINDS[kind]])


def is_secret(field: FieldInfo) -> bool:
    """Whether the setting's value is a secret, or holds one."""
    return SecretStr in _parts(field.annotation)


def is_path(field: FieldInfo) -> bool:
    """Whether the setting is a path, which may be relative."""
    return Path in _parts(field.annotation)


def is_text(field: FieldInfo) -> bool:
    """Whether the setting is a text."""
    return any(part in (str, SecretStr) for part in _parts(field.annotation))


def _parts(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, UnionType):
        yield from get_args(annotation)
    else:
        yield annotation
