"""The environment variables that hold Batchord's own secrets. An author's command gets only those it asks for."""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from pydantic import SecretStr

from batchord.settings import Settings

_PREFIX = "BATCHORD_"
#: Beginnings of variables that Flower and Celery read themselves: passwords, OAuth secrets, addresses of the broker.
_OTHERS = ("FLOWER_", "CELERY_BROKER", "CELERY_RESULT_BACKEND")


def is_own_secret(variable: str) -> bool:
    """Whether the variable holds a secret of Batchord. Settings are read in upper and in lower case."""
    name = variable.upper()
    return name in _of_settings() or name.startswith(_OTHERS)


def own_secrets(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """The values of all such variables, from the environment or from the file of the local stack."""
    secrets = {name.upper(): value for name, value in environment.items() if is_own_secret(name) and value}
    for variable, field in _of_settings().items():
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            secrets[variable] = value.get_secret_value()
    if settings.database_url is not None:
        # A role that is not configured has the ledger's address.
        secrets |= settings.database_roles().by_variable()
    return secrets


@cache
def _of_settings() -> dict[str, str]:
    """The names of secret settings, by their variables."""
    return {
        f"{_PREFIX}{name.upper()}": name
        for name, field in Settings.model_fields.items()
        if _is_secret(field.annotation)
    }


def _is_secret(kind: Any) -> bool:
    return kind is SecretStr or any(map(_is_secret, get_args(kind)))
