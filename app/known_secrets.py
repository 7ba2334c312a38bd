"""The secrets that this process knows, so that its logs can leave them out."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from app.settings import Settings

#: Hides nothing as a password, and stands in every task's name. In a URL it is masked all the same.
_OWN_NAME = "batchord"


def known_secrets(settings: Settings) -> list[str]:
    """Every secret of the settings and the passwords in their URLs, as they stand and decoded; the longest first.

    Of an alert's URL also its path: that is where chat services have their tokens.
    """
    found: set[str] = set()
    for name in type(settings).model_fields:
        for secret in _secrets(getattr(settings, name)):
            for text in secret.replace(",", " ").split() or [secret]:
                found |= _parts(text, path="alert" in name)
    # A part of a longer one must not be replaced before it: the rest would stay.
    return sorted((text for text in found if text and text != _OWN_NAME), key=lambda text: (-len(text), text))


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for each in value:
            yield from _secrets(each)


def _parts(text: str, *, path: bool) -> set[str]:
    if "://" not in text:
        return {text}
    found = {text}
    try:
        parts = urlsplit(text)
    except ValueError:  # an address of no form that is known
        return found
    found.add(parts.password or "")
    if path:
        found.add(parts.path.strip("/"))
    return found | {unquote(each) for each in found}
