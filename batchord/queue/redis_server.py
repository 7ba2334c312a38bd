"""Redis for this process: its clients, and a check whether Redis accepts the connection.

If waiting cannot help, commands, workers and beat say so at once in one line.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry

from batchord.core.addresses.redis import redis_url, tls_files, without_tls_options
from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause
from batchord.queue.redis_tls import advice_for, expects_tls, knows_no_tls, refusal_after_greeting, unusable_file
from batchord.settings import origin_of, start_or_correct

VARIABLE = "BATCHORD_REDIS_URL"
_SECONDS = 5
_EXAMINE_SECONDS = 2


def redis_place(url: str) -> str:
    """The name of the server for people, with the place of its address."""
    parts = urlsplit(url)
    return f"Redis at {parts.hostname or 'localhost'}:{parts.port or 6379} ({origin_of(VARIABLE, url)})"


def silence(url: str, reason: object = "") -> str:
    """That the server does not answer, and what a person does about it. ``reason``: the client's error, if any."""
    why = f": {clause(reason)}" if reason else ""
    return f"{redis_place(url)} does not answer{why}. {start_or_correct(VARIABLE, url)}"


def redis_client(url: str, **options: Any) -> Redis:
    """A client that connects on first use. Raises ConfigurationError for an address that cannot be read."""
    address, tls = without_tls_options(redis_url(url, where=VARIABLE))
    return Redis.from_url(address, **tls, **options)


def check_redis(url: str) -> bool:
    """Whether Redis answers one request. Raises ConfigurationError for a problem that a person must solve."""
    url = redis_url(url, where=VARIABLE)
    where = redis_place(url)
    address, tls = without_tls_options(url)
    if (unusable := unusable_file(tls_files(tls))) is not None:
        raise ConfigurationError(f"{where} cannot be reached: {unusable}. Correct it in {VARIABLE}.")
    try:
        once = Retry(NoBackoff(), 0)
        with redis_client(url, retry=once, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS) as server:
            server.ping()
    except (AuthenticationError, NoPermissionError) as error:
        raise ConfigurationError(
            f"{where} refuses the connection: {clause(error)}. Correct the user and the password."
        ) from None
    except ResponseError as error:
        raise ConfigurationError(f"{where} refuses: {clause(error)}. Correct the number of the database.") from None
    except RedisError as error:
        advice = advice_for(str(error)) or _examine(address, tls)
        if advice is not None:
            raise ConfigurationError(f"{where} cannot be used: {advice}") from None
        return False
    return True


def _examine(address: str, tls: Mapping[str, str | bool]) -> str | None:
    """Advice after the server ended the connection without a reason, or its answer was not understood."""
    parts = urlsplit(address)
    place = parts.hostname or "localhost", parts.port or 6379
    if not tls:
        expected = expects_tls(*place, timeout=_EXAMINE_SECONDS)
        return "it expects TLS. Write rediss:// instead of redis://." if expected else None
    if knows_no_tls(*place, timeout=_EXAMINE_SECONDS):
        return "it does not speak TLS. Write redis:// instead of rediss://."
    return advice_for(refusal_after_greeting(*place, tls, timeout=_EXAMINE_SECONDS))
