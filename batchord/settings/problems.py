"""What is wrong with values of settings, in words that say where the value stands and what is allowed."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from batchord.core.errors import ConfigurationError
from batchord.settings.allowed import allowed, is_secret
from batchord.settings.given import Found, Given, Place, SettingProblem

#: The most characters of a wrong value that an error shows.
_MOST = 60


def wrong_values(found: Found, fields: Mapping[str, FieldInfo]) -> list[SettingProblem]:
    """The given values that are not allowed."""
    return [
        SettingProblem(name=name, what=_refused(given, fields[name]))
        for name, given in found.given.items()
        if not _is_allowed(given.value, fields[name])
    ]


def refusal(problems: Sequence[SettingProblem]) -> ConfigurationError:
    """The error of a process that cannot start with these settings."""
    look = "`batchord config` shows where each setting comes from."
    if len(problems) == 1:
        return ConfigurationError(f"{problems[0].what} {look}")
    lines = "".join(f"\n  - {problem.what}" for problem in problems)
    return ConfigurationError(f"{len(problems)} problems in the settings ({look.removesuffix('.')}):{lines}")


def _is_allowed(value: Any, field: FieldInfo) -> bool:
    kind: Any = Annotated[field.annotation, field]
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def _refused(given: Given, field: FieldInfo) -> str:
    shown = "" if is_secret(field) else f", not {str(given.value)!r:.{_MOST}}"
    again = " `batchord up` writes this file again." if given.place is Place.SERVERS else ""
    return f"{given.label} must be {allowed(field)}{shown}.{again}"
