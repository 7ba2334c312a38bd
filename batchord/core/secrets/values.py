"""Which parts of a value are secret, by its kind: the rest of it is needed to see what is wrong."""

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, unquote_plus

from batchord.core.secrets.words import hides_something, is_common, is_drawn

#: ``://user:password@``, up to the last ``@`` before a space, since passwords are not always escaped.
_USER_INFO = re.compile(r"://(?P<user>[^\s:/?#@]*):(?P<password>(?:(?!://)\S)*)@|://(?P<token>[^\s:/?#@]+)@")
#: ``password=`` in a URL's query, in libpq's and in ODBC's strings.
_NAMED = re.compile(
    r"(?:password|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signature|sig)"
    r"\s{0,4}=\s{0,4}(?:'(?P<single>(?:[^'\\]|\\.)*)'|\{(?P<braces>[^}]*)\}|(?P<bare>[^\s;&]+))",
    re.IGNORECASE,
)
#: Variables of the environment that hold a secret, by the ends of their names.
_CALLED = re.compile(
    r"(?:password|passwd|passphrase|pwd|secret|token|api_?key|access_?key(?:_id)?|private_?key|secret_?key|credentials?)$",
    re.IGNORECASE,
)
#: A variable that holds ``name:password``, several separated by commas: Flower's.
_LOGINS = re.compile(r"basic_?auth$", re.IGNORECASE)
#: The working directory and its like.
_NO_SECRETS = frozenset({"PWD", "OLDPWD"})
#: What parts an address: what stands between is a name, a word or a token.
_BETWEEN = re.compile(r"[:/?#&=@,\s]+")
#: Lines of a secret that are worth being looked for alone: those of a key, say.
_LEAST_LINE = 16


def of_secret(text: str) -> Iterator[str]:
    """A password, a key or a token, as a whole; of one in several lines each line as well."""
    text = text.strip()
    yield text
    if "\n" in text:
        yield from (line for line in map(str.strip, text.splitlines()) if len(line) >= _LEAST_LINE)


def of_address(text: str) -> Iterator[str]:
    """The passwords of a server's address: before its host, and in its options; or those of a connection string."""
    for found in _USER_INFO.finditer(text):
        yield from _readings(found["token"] or found["password"])
    for reading in _readings(text):
        for named in _NAMED.finditer(reading):
            yield from _readings(named["single"] or named["braces"] or named["bare"] or "")


def of_receiver(text: str) -> Iterator[str]:
    """Of where messages to people go the whole, every part that looks like a token, and a path of several names.

    Chat services have their tokens there. But never a name alone: a path may be ``/batchord``, or ``/api/alerts``.
    """
    yield text
    yield from of_address(text)
    for reading in _readings(text.partition("://")[2]):
        yield from (part for part in _BETWEEN.split(reading) if is_drawn(part))
        path = reading.partition("?")[0].partition("/")[2].strip("/")
        if "/" in path and not all(map(is_common, path.split("/"))):
            yield path


def of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """What is called a secret there, and the passwords of addresses, whatever their variables are called."""
    for name, value in environment.items():
        if "://" in value:
            yield from of_address(value)
        elif _LOGINS.search(name):
            yield from (each.partition(":")[2] for each in value.split(","))
        elif is_called_secret(name):
            yield from of_secret(value)


def is_called_secret(name: str) -> bool:
    """Whether a variable of that name holds a secret."""
    return name not in _NO_SECRETS and _CALLED.search(name) is not None


def _readings(text: str) -> Iterator[str]:
    """As it stands, and decoded as URLs are."""
    yield from dict.fromkeys(each for each in (text, unquote(text), unquote_plus(text)) if each)


def worth_hiding(secrets: Iterable[str]) -> list[str]:
    """Each once, in one order, without those that stand in ordinary words."""
    return sorted({each for each in secrets if hides_something(each)})
