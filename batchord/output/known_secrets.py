"""The secrets that this process can know: those of its settings, its environment and its pipelines."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from batchord.core.addresses.receivers import split_addresses
from batchord.core.declared.pipelines import Pipeline
from batchord.core.secrets.values import (
    is_called_secret,
    of_address,
    of_environment,
    of_receiver,
    of_secret,
    worth_hiding,
)
from batchord.settings import Settings

#: A setting whose name holds this word holds receivers of alerts.
_RECEIVERS = "alert"


def known_secrets(settings: Settings) -> list[str]:
    """The passwords, keys and tokens in the settings, and the secret parts of addresses."""
    return worth_hiding(_of_settings(settings))


def secrets_around(environment: Mapping[str, str]) -> list[str]:
    """The variables that are named like a secret, and the passwords of addresses in the environment.

    Pipelines name such variables (``url_env``). Text of a process that loads no pipeline may hold their values, too.
    """
    return worth_hiding(of_environment(environment))


def secrets_of(pipelines: Iterable[Pipeline], environment: Mapping[str, str]) -> list[str]:
    """The secrets in declarations of pipelines: passwords of databases, receivers of alerts, arguments of commands."""
    return worth_hiding(secret for pipeline in pipelines for secret in _of_pipeline(pipeline, environment))


def _of_settings(settings: Settings) -> Iterator[str]:
    for name in type(settings).model_fields:
        for text in _texts(getattr(settings, name)):
            if _RECEIVERS in name:
                yield from _of_receivers(text)
            elif "://" in text:
                yield from of_address(text)
            elif name.endswith("url"):
                yield from of_address(text)  # libpq's key=value form: host=… password=…
            else:
                yield from of_secret(text)


def _texts(value: Any) -> Iterator[str]:
    """The secret texts in a setting's value, and addresses, which may hold a password."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, str) and "://" in value:
        yield value
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            yield from _texts(item)


def _of_pipeline(pipeline: Pipeline, environment: Mapping[str, str]) -> Iterator[str]:
    receivers = environment.get(pipeline.alerts.urls_env or "")
    if receivers:
        yield from _of_receivers(receivers)
    for step in pipeline.steps:
        place: Any = getattr(step, "source", step)
        url, url_env = getattr(place, "url", None), getattr(place, "url_env", None)
        for address in (url, environment.get(url_env or "")):
            if isinstance(address, str):
                yield from of_address(address)
        for values in (getattr(step, "env", None), getattr(step, "params", None)):
            if isinstance(values, Mapping):
                named = (value for name, value in values.items() if isinstance(name, str) and is_called_secret(name))
                yield from (part for value in named if isinstance(value, str) for part in of_secret(value))


def _of_receivers(text: str) -> Iterator[str]:
    for address in split_addresses(text):
        yield from of_receiver(address)
