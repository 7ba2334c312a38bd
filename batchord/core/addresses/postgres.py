"""Every spelling of a PostgreSQL address becomes one: ``postgresql://user:password@host:port/database?option=value``.

SQLAlchemy's spellings name a driver that libpq does not know. SQLAlchemy cannot read libpq's key=value form. Hosting
services hand out ``postgres://``. A user may have any of these at hand, so a setting accepts all of them.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode

from batchord.core.errors import ConfigurationError

_URL = re.compile(r"postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)
_OPTION = re.compile(r"\s*(?P<name>\w+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<plain>(?:[^\s'\\]|\\.)*))(?=\s|$)")
#: Values that stand in the URL itself, not among its options. A password among the options would be printed with them.
_OWN_PLACE = ("user", "password", "host", "port", "dbname")
#: Spellings of options that only one driver knows.
_ALIASES = {"ssl": "sslmode", "database": "dbname", "username": "user"}
_SSL = {"true": "require", "1": "require", "false": "disable", "0": "disable"}


def is_postgres(text: str) -> bool:
    """Whether ``text`` is a URL of a PostgreSQL database, in any spelling."""
    return _URL.match(text.strip()) is not None


def postgres_url(text: str, *, where: str) -> str:
    """The address in the one spelling that libpq and SQLAlchemy understand.

    Raises ConfigurationError, whose message names ``where`` the address stands, but no part of the address.
    """
    text = text.strip()
    scheme = _URL.match(text)
    if scheme:
        return _written(_from_url(text[scheme.end() :], where))
    if "://" in text:
        raise ConfigurationError(
            f"{where} must be the address of a PostgreSQL database, but it begins with "
            f"{text.partition('://')[0][:20]}://. Write postgresql://user:password@host:5432/database."
        )
    return _written(_from_options(text, where))


def _from_url(rest: str, where: str) -> dict[str, str]:
    main, _, query = rest.partition("?")
    authority, slash, path = main.partition("/")
    if "@" in path or "#" in main or (not slash and "@" in query and "@" not in authority):
        # The password holds an unencoded character. Its rest would be taken for a host and printed.
        raise _unreadable(where)
    user_info, _, hosts = authority.rpartition("@")
    user, _, password = user_info.partition(":")
    host, port = _hosts(hosts, where)
    values = {"user": unquote(user), "password": unquote(password), "host": host, "port": port, "dbname": unquote(path)}
    options = parse_qsl(query, keep_blank_values=True)
    return {name: value for name, value in values.items() if value} | _options(options)


def _hosts(text: str, where: str) -> tuple[str, str]:
    hosts, ports = [], []
    for place in text.split(","):
        parts = re.fullmatch(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>\d*))?", place)
        if parts is None:
            raise _unreadable(where)
        hosts.append(unquote(parts["host"]).strip("[]"))
        ports.append(parts["port"] or "")
    return ",".join(hosts), ",".join(ports).strip(",")


def _from_options(text: str, where: str) -> dict[str, str]:
    pairs: list[tuple[str, str]] = []
    at = 0
    while option := _OPTION.match(text, at):
        value = option["plain"] if option["quoted"] is None else option["quoted"]
        pairs.append((option["name"], re.sub(r"\\(.)", r"\1", value)))
        at = option.end()
    if text[at:].strip() or not pairs:
        raise _unreadable(where)
    return _options(pairs)


def _options(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in pairs:
        alias = _ALIASES.get(name, name)
        options[alias] = _SSL.get(value.lower(), value) if name == "ssl" else value
    return options


def _written(values: Mapping[str, str]) -> str:
    user, password = (quote(values.get(name, ""), safe="") for name in ("user", "password"))
    user_info = user + (f":{password}" if password else "")
    host, port = values.get("host", ""), values.get("port", "")
    options = {name: value for name, value in values.items() if name not in _OWN_PLACE}
    if re.fullmatch(r"[\w.:-]*", host) and re.fullmatch(r"\d*", port):
        place = f"[{host}]" if ":" in host else host
        place += f":{port}" if port else ""
    else:  # a folder of sockets, or several hosts
        place = ""
        options |= {name: value for name, value in (("host", host), ("port", port)) if value}
    query = f"?{urlencode(options, quote_via=quote)}" if options else ""
    return (
        f"postgresql://{user_info}{'@' if user_info else ''}{place}/{quote(values.get('dbname', ''), safe='')}{query}"
    )


def _unreadable(where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where} cannot be read: write postgresql://user:password@host:5432/database, with special characters in "
        "the password percent-encoded."
    )
