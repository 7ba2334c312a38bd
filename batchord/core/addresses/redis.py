"""Every spelling of a Redis address becomes one: ``redis://user:password@host:port/number``, or ``rediss://…?ssl_…=``.

Celery's broker, its result backend, RedBeat, Flower and redis-py read an address each in a way of its own: what one
takes for an option another ignores, and a missing option of TLS lets Kombu trust every server. So the address is read
here alone, and each of them is given what it cannot read differently.
"""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from batchord.core.errors import ConfigurationError

_SCHEMES = {"redis": "redis", "valkey": "redis", "rediss": "rediss", "valkeys": "rediss"}
#: By a word of the scheme: why it is refused, and what to write instead.
_REFUSED = {
    "sentinel": (
        "names Sentinels, but not every client here can ask Sentinels for the primary. Write the address of the "
        "primary, or of a proxy or a service that follows it"
    ),
    "cluster": (
        "names a cluster, which spreads the keys over its servers, but Celery's chords need all keys on one server. "
        "Write the address of a single server"
    ),
    "unix": "names a socket, which Flower and Celery each read differently. Write the server's port",
    "socket": "names a socket, which Flower and Celery each read differently. Write the server's port",
}
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_CHECKS = ("required", "optional", "none")
_SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_OPTIONS = ("ssl_cert_reqs", "ssl_check_hostname", *_FILES)
_EXAMPLE = "redis://host:6379/0"


def redis_url(text: str, *, where: str) -> str:
    """The address in the one spelling; that of a server with TLS always says how its certificate is checked.

    Raises ConfigurationError, which names ``where`` it stands and no password.
    """
    text = text.strip()
    scheme = _scheme(text, where)
    try:
        parts = urlsplit(text)
        if re.search(r"[,;]", parts.netloc.rpartition("@")[2] + parts.path):
            raise ConfigurationError(
                f"{where} names several servers. Write the address of one server, such as {_EXAMPLE}."
            )
        host, port = parts.hostname or "localhost", parts.port
    except ValueError:
        raise _unreadable(where) from None
    if parts.fragment or "@" in parts.path + parts.query:
        raise _unreadable(where)  # a password that is not encoded: its rest would be taken for a path, and printed
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    number = _number(options.pop("db", "") or parts.path.strip("/") or "0", where)
    tls = _tls(options, where) if scheme == "rediss" else _no_options(options, where)
    place = f"[{host}]" if ":" in host else host
    query = f"?{urlencode(tls)}" if tls else ""
    return f"{scheme}://{_login(parts)}{place}{'' if port is None else f':{port}'}/{number}{query}"


def without_tls_options(url: str) -> tuple[str, dict[str, str | bool]]:
    """The address alone, and the options of TLS as redis-py names them, none without TLS.

    ``url`` is in the one spelling.
    """
    address, _, query = url.partition("?")
    options: dict[str, str | bool] = dict(parse_qsl(query))
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"] == "True"
    return address, options


def tls_files(options: Mapping[str, str | bool]) -> dict[str, str]:
    """Those of the options that name a file."""
    return {name: str(options[name]) for name in _FILES if name in options}


def _scheme(text: str, where: str) -> str:
    written = text.partition("://")[0].lower() if "://" in text else ""
    if written in _SCHEMES:
        return _SCHEMES[written]
    for word, why in _REFUSED.items():
        if word in written:
            raise ConfigurationError(f"{where} begins with {written[:20]}:// and {why}: {_EXAMPLE}.")
    raise ConfigurationError(
        f"{where} must be an address of Redis: write {_EXAMPLE}, with user:password@ before the host if Redis needs "
        "it, and rediss:// for TLS."
    )


def _number(text: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise ConfigurationError(f"{where} must name its database by a number: write {_EXAMPLE}.")
    return int(text)


def _tls(options: Mapping[str, str], where: str) -> dict[str, str | bool]:
    _no_options({name: value for name, value in options.items() if name not in _OPTIONS}, where)
    # Celery's documents call them CERT_REQUIRED, and so on.
    check = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    names = _SWITCHES.get(options.get("ssl_check_hostname", "true").lower())
    if check not in _CHECKS:
        raise ConfigurationError(f"{where} has a wrong ssl_cert_reqs: write required, optional or none.")
    if names is None:
        raise ConfigurationError(f"{where} has a wrong ssl_check_hostname: write true or false.")
    files = {name: options[name] for name in _FILES if options.get(name)}
    if ("ssl_keyfile" in files) > ("ssl_certfile" in files):
        raise ConfigurationError(f"{where} has an ssl_keyfile but no ssl_certfile: give both.")
    return {"ssl_cert_reqs": check, "ssl_check_hostname": names and check != "none", **files}


def _no_options(options: Mapping[str, str], where: str) -> dict[str, str | bool]:
    if not options:
        return {}
    name = next(iter(options))
    if name in _OPTIONS:
        raise ConfigurationError(f"{where} has the TLS option {name}, but begins with redis://: write rediss://.")
    shown = name if re.fullmatch(r"\w{1,40}", name) else "one"
    raise ConfigurationError(
        f"{where} has an option that not every client here reads: {shown}. Remove it. The options of rediss:// are "
        f"{', '.join(_OPTIONS)}."
    )


def _login(parts: SplitResult) -> str:
    user, password = (quote(unquote(each or ""), safe="") for each in (parts.username, parts.password))
    if not user and not password:
        return ""
    return f"{user}:{password}@" if password else f"{user}@"


def _unreadable(where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where} cannot be read: write {_EXAMPLE}, with special characters in the password percent-encoded."
    )
