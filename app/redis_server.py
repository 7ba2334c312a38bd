"""Whether Redis lets us in: what no waiting heals is said at once, in one line, by commands, workers and beat."""

from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from app.core.errors import ConfigurationError

_SECONDS = 5


def redis_place(url: str) -> str:
    """Which server it is, for people."""
    parts = urlsplit(url)
    return f"Redis at {parts.hostname or parts.path}:{parts.port or 6379} (BATCHORD_REDIS_URL)"


def check_redis(url: str) -> None:
    """Asks once. Raises ConfigurationError for what a person must mend; a server that does not answer is borne."""
    try:
        where = redis_place(url)
        with Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS) as server:
            server.ping()
    except (AuthenticationError, NoPermissionError) as error:
        raise ConfigurationError(
            f"{where} refuses the connection: {error}. Correct the user and the password."
        ) from None
    except ResponseError as error:
        raise ConfigurationError(f"{where} refuses: {error}. Correct the number of the database.") from None
    except ValueError as error:
        raise ConfigurationError(f"BATCHORD_REDIS_URL cannot be read: {error}.") from None
    except RedisError as error:
        if "WRONG_VERSION_NUMBER" in str(error):
            raise ConfigurationError(f"{where} does not speak TLS: write redis:// instead of rediss://.") from None
