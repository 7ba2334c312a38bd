"""Where the address of a server comes from, and what a person does if that server does not answer."""

from batchord.core.addresses.postgres import postgres_url
from batchord.core.addresses.redis import redis_url
from batchord.core.errors import ConfigurationError
from batchord.project import PROJECT_FILE
from batchord.settings.fields import Settings
from batchord.settings.given import PREFIX, Given, Place, find_settings

_OF_THE_STACK = "the local stack"


def origin_of(variable: str, url: str) -> str:
    """The place of the address ``url`` for people: the variable, the line of batchord.toml, or the local stack.

    ``variable``: the setting's environment variable, which is the answer if the setting has another address.
    """
    given = _given(variable, url)
    if given is None:
        return variable
    if given.place is Place.SERVERS:
        return _OF_THE_STACK
    return given.label if given.file is None else f"{given.label}, file {given.file}"


def start_or_correct(variable: str, url: str) -> str:
    """What a person does if the server at ``url`` does not answer, in one sentence."""
    given = _given(variable, url)
    if given is not None and given.place is Place.SERVERS:
        return "`batchord status` shows what runs, and `batchord up` starts the local stack."
    if given is not None and given.place is Place.PROJECT:
        return f"Start it, or correct that line of {PROJECT_FILE}."
    return f"Start it, or correct {variable if given is None else given.label}."


def _given(variable: str, url: str) -> Given | None:
    """What somebody gave for the setting, if it is this address: a program may use another one than its settings'."""
    given = find_settings(Settings.model_fields).given.get(variable.removeprefix(PREFIX).lower())
    if given is None:
        return None
    spelling = redis_url if variable == f"{PREFIX}REDIS_URL" else postgres_url
    try:
        return given if spelling(str(given.value), where=variable) == spelling(url, where=variable) else None
    except ConfigurationError:
        return None
