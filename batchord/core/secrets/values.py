"""Which parts of a value are secret, by the kind of the value. People need its other parts to see what is wrong."""

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, unquote_plus

from batchord.core.secrets.words import hides_something, is_common, is_drawn

#: ``://user:password@``, up to the last ``@`` before a space, since passwords are not always escaped.
_USER_INFO = re.compile(r"://(?P<user>[^\s:/?#@]*):(?P<password>(?:(?!://)\S)*)@|://(?P<token>[^\s:/?#@]+)@")
#: ``password=`` in a URL's query and in connection strings of libpq and ODBC.
_NAMED = re.compile(
    r"(?:password|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signature|sig)"
    r"\s{0,4}=\s{0,4}(?:'(?P<single>(?:[^'\\]|\\.)*)'|\{(?P<braces>[^}]*)\}|(?P<bare>[^\s;&]+))",
    re.IGNORECASE,
)
#: Ends of the names of environment variables that hold a secret.
_CALLED = re.compile(
    r"(?:password|passwd|passphrase|pwd|secret|token|api_?key|access_?key(?:_id)?|private_?key|secret_?key|credentials?)$",
    re.IGNORECASE,
)
#: End of the name of Flower's variable, which holds ``name:password``; commas separate several.
_LOGINS = re.compile(r"basic_?auth$", re.IGNORECASE)
#: These hold working directories, not passwords.
_NO_SECRETS = frozenset({"PWD", "OLDPWD"})
#: Separates the names, words and tokens in an address.
_BETWEEN = re.compile(r"[:/?#&=@,\s]+")
#: The fewest characters of a line that is worth looking for alone, such as a line of a key.
_LEAST_LINE = 16


def of_secret(text: str) -> Iterator[str]:
    """A password, a key or a token as a whole; and each long line of it, if it has several."""
    text = text.strip()
    yield text
    if "\n" in text:
        yield from (line for line in map(str.strip, text.splitlines()) if len(line) >= _LEAST_LINE)


def of_address(text: str) -> Iterator[str]:
    """The passwords of a server's address, before its host and in its options, or those of a connection string."""
    for user_info in _USER_INFO.finditer(text):
        yield from _readings(user_info["token"] or user_info["password"])
    for reading in _readings(text):
        for option in _NAMED.finditer(reading):
            yield from _readings(option["single"] or option["braces"] or option["bare"] or "")


def of_receiver(text: str) -> Iterator[str]:
    """The whole address of a receiver of alerts, each part that looks like a token, and a path of several names.

    Chat services have their tokens there. A path of common names, such as ``/batchord`` or ``/api/alerts``, is left
    out.
    """
    yield text
    yield from of_address(text)
    for reading in _readings(text.partition("://")[2]):
        yield from (part for part in _BETWEEN.split(reading) if is_drawn(part))
        path = reading.partition("?")[0].partition("/")[2].strip("/")
        if "/" in path and not all(map(is_common, path.split("/"))):
            yield path


def of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """The values of variables that are named like a secret, and the passwords of addresses in any variable."""
    for name, value in environment.items():
        if "://" in value:
            yield from of_address(value)
        elif _LOGINS.search(name):
            yield from (login.partition(":")[2] for login in value.split(","))
        elif is_called_secret(name):
            yield from of_secret(value)


def is_called_secret(name: str) -> bool:
    """Whether a variable of that name holds a secret."""
    return name not in _NO_SECRETS and _CALLED.search(name) is not None


def _readings(text: str) -> Iterator[str]:
    """The text as it stands, and decoded as in a URL; each once."""
    yield from dict.fromkeys(reading for reading in (text, unquote(text), unquote_plus(text)) if reading)


def worth_hiding(secrets: Iterable[str]) -> list[str]:
    """The secrets without those that are too short or common, sorted, each once."""
    return sorted({secret for secret in secrets if hides_something(secret)})
