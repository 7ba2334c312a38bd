"""Redis as this process may use it: its clients, and whether it lets us in.

What no waiting heals is said at once, in one line, by commands, workers and beat.
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

VARIABLE = "BATCHORD_REDIS_URL"
_SECONDS = 5
_SECOND_LOOK_SECONDS = 2


def redis_place(url: str) -> str:
    """Which server it is, for people."""
    parts = urlsplit(url)
    return f"Redis at {parts.hostname or 'localhost'}:{parts.port or 6379} ({VARIABLE})"


def redis_client(url: str, **options: Any) -> Redis:
    """A client, which connects when it is first used. Raises ConfigurationError for an address that cannot be read."""
    address, tls = without_tls_options(redis_url(url, where=VARIABLE))
    return Redis.from_url(address, **tls, **options)


def check_redis(url: str) -> bool:
    """Asks once; whether it answers. Raises ConfigurationError for what a person must mend."""
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
            f"{where} refuses the connection: {clause(str(error))}. Correct the user and the password."
        ) from None
    except ResponseError as error:
        raise ConfigurationError(
            f"{where} refuses: {clause(str(error))}. Correct the number of the database."
        ) from None
    except RedisError as error:
        advice = advice_for(str(error)) or _second_look(address, tls)
        if advice is not None:
            raise ConfigurationError(f"{where} cannot be used: {advice}") from None
        return False
    return True


def _second_look(address: str, tls: Mapping[str, str | bool]) -> str | None:
    """What to do where the connection was ended without a word, or nothing was understood."""
    parts = urlsplit(address)
    place = parts.hostname or "localhost", parts.port or 6379
    if not tls:
        expected = expects_tls(*place, timeout=_SECOND_LOOK_SECONDS)
        return "it expects TLS. Write rediss:// instead of redis://." if expected else None
    if knows_no_tls(*place, timeout=_SECOND_LOOK_SECONDS):
        return "it does not speak TLS. Write redis:// instead of rediss://."
    return advice_for(refusal_after_greeting(*place, tls, timeout=_SECOND_LOOK_SECONDS))
