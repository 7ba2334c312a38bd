"""The environment variables that hold Batchord's own secrets. An author's command gets only those it asks for."""

from collections.abc import Mapping
from functools import cache

from pydantic import SecretStr

from batchord.settings import PREFIX, Settings
from batchord.settings.allowed import is_secret
from batchord.settings.secret_files import SUFFIX

#: Beginnings of variables that Flower and Celery read themselves: passwords, OAuth secrets, addresses of the broker.
_OTHERS = ("FLOWER_", "CELERY_BROKER", "CELERY_RESULT_BACKEND")


def is_own_secret(variable: str) -> bool:
    """Whether the variable holds a secret of Batchord, or names its file. Upper and lower case are the same."""
    name = variable.upper()
    return name.removesuffix(SUFFIX.upper()) in _of_settings() or name.startswith(_OTHERS)


def own_secrets(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """The values of all such variables, wherever Batchord has them from."""
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
    return {f"{PREFIX}{name.upper()}": name for name, field in Settings.model_fields.items() if is_secret(field)}
