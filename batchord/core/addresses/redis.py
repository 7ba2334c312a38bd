"""Every spelling of a Redis address becomes one: ``redis://user:password@host:port/number``, or ``rediss://…?ssl_…=``.

Celery's broker, its result backend, RedBeat, Flower and redis-py each read an address in their own way. One ignores
what another takes for an option, and without the TLS options Kombu trusts every server. So only this module reads the
address, and it passes on a spelling that all of them read alike.
"""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from batchord.core.errors import ConfigurationError

_SCHEMES = {"redis": "redis", "valkey": "redis", "rediss": "rediss", "valkeys": "rediss"}
#: Why an address is refused whose scheme holds this word, and what to write instead.
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
    """The address in the one spelling. If the server uses TLS, the address says how its certificate is checked.

    Raises ConfigurationError, whose message names ``where`` the address stands, but never the password.
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
        raise _unreadable(where)  # an unencoded password: its rest would be taken for a path and printed
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    number = _number(options.pop("db", "") or parts.path.strip("/") or "0", where)
    tls = _tls(options, where) if scheme == "rediss" else _no_options(options, where)
    place = f"[{host}]" if ":" in host else host
    query = f"?{urlencode(tls)}" if tls else ""
    return f"{scheme}://{_login(parts)}{place}{'' if port is None else f':{port}'}/{number}{query}"


def without_tls_options(url: str) -> tuple[str, dict[str, str | bool]]:
    """The address without its TLS options, and these options as redis-py names them; empty without TLS.

    ``url`` is in the spelling of :func:`redis_url`.
    """
    address, _, query = url.partition("?")
    options: dict[str, str | bool] = dict(parse_qsl(query))
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"] == "True"
    return address, options


def tls_files(options: Mapping[str, str | bool]) -> dict[str, str]:
    """The options that name a file."""
    return {name: str(options[name]) for name in _FILES if name in options}


def _scheme(text: str, where: str) -> str:
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme in _SCHEMES:
        return _SCHEMES[scheme]
    for word, why in _REFUSED.items():
        if word in scheme:
            raise ConfigurationError(f"{where} begins with {scheme[:20]}:// and {why}: {_EXAMPLE}.")
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
    # Celery's documentation writes CERT_REQUIRED and so on.
    check = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    check_hostname = _SWITCHES.get(options.get("ssl_check_hostname", "true").lower())
    if check not in _CHECKS:
        raise ConfigurationError(f"{where} has a wrong ssl_cert_reqs: write required, optional or none.")
    if check_hostname is None:
        raise ConfigurationError(f"{where} has a wrong ssl_check_hostname: write true or false.")
    files = {name: options[name] for name in _FILES if options.get(name)}
    if ("ssl_keyfile" in files) > ("ssl_certfile" in files):
        raise ConfigurationError(f"{where} has an ssl_keyfile but no ssl_certfile: give both.")
    return {"ssl_cert_reqs": check, "ssl_check_hostname": check_hostname and check != "none", **files}


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
    user, password = (quote(unquote(text or ""), safe="") for text in (parts.username, parts.password))
    if not user and not password:
        return ""
    return f"{user}:{password}@" if password else f"{user}@"


def _unreadable(where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where} cannot be read: write {_EXAMPLE}, with special characters in the password percent-encoded."
    )
