"""Which texts are plain words. Masking plain words would hide nothing and would make every log unreadable."""

import re

#: The fewest characters of a secret to look for. Shorter texts occur in ordinary words.
SHORTEST = 6
#: Passwords that everybody knows, and words that occur in each of our logs.
_COMMON = frozenset(
    {
        *("alert", "alerts", "api", "event", "events", "hook", "hooks", "message", "messages", "notify", "services"),
        *("webhook", "webhooks"),
        *("access", "admin", "administrator", "attempt", "audit", "batch", "batchord", "broker", "celery", "changeme"),
        *("config", "control", "database", "debug", "default", "docker", "error", "example", "failed", "flower"),
        *("guest", "host", "image", "ledger", "local", "localhost", "login", "minio", "minioadmin", "model", "mysql"),
        *("nobody", "null", "passwd", "password", "pending", "pipeline", "pipelines", "planner", "please", "postgres"),
        *("postgresql", "predict", "predicted", "prediction", "predictions", "production", "public", "python"),
        *("record", "records", "redis", "rejected", "rejection", "reviews", "running", "schedule", "score", "secret"),
        *("server", "service", "shard", "shards", "source", "staging", "started", "step", "steps", "string"),
        *("succeeded", "summary", "system", "table", "tables", "testing", "token", "tokens", "train", "trigger"),
        *("user", "username", "valkey", "value", "values", "worker", "workers"),
    }
)
#: Words of letters, joined by hyphens, dots or underscores, each with at most four digits behind it: ``max_tokens``,
#: ``us-east-1``, ``alerts2024``. ``HTTPServer`` does not match.
_WORD = r"(?:[A-Z]?[a-z]{1,20}|[A-Z]{1,15})\d{0,4}|v?\d{1,4}"
_WORDS = re.compile(rf"(?:{_WORD})(?:[-_.' ](?:{_WORD}))*[.,:;!?]{{0,3}}")
_LETTERS = re.compile(r"[A-Za-z]+(?:[-_.'][A-Za-z]+)*[.,:;!?]{0,3}")
_NUMBER = re.compile(r"[\d.,:_+eE%-]+")
_DRAWN = re.compile(r"[\w+/=~-]{8,}", re.ASCII)


def is_plain(text: str) -> bool:
    """Whether ``text`` is a number or consists of words of letters, as in sentences and in code."""
    return _LETTERS.fullmatch(text) is not None or _NUMBER.fullmatch(text) is not None


def is_common(word: str) -> bool:
    """Whether ``word`` occurs in many logs and addresses, or is too short to tell."""
    return len(word) < 3 or word.lower() in _COMMON  # noqa: PLR2004 -- v1, or an empty part


def hides_something(secret: str) -> bool:
    """Whether a secret is worth masking everywhere: it is neither short nor a common word."""
    return len(secret) >= SHORTEST and not is_common(secret)


def is_drawn(text: str) -> bool:
    """Whether ``text`` looks random, as tokens are: letters and digits that form no words."""
    if _DRAWN.fullmatch(text) is None or text.isdigit():
        return False
    return _WORDS.fullmatch(text) is None
