"""Passwords do not belong into logs, pages and messages to people."""

import re
from collections.abc import Iterable

MASK = "***"
#: Shorter ones stand in ordinary words.
_SHORTEST = 6
#: ``scheme://user:password@host``, and ``scheme://token@host`` as webhooks have it.
_IN_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^\s:/@]*)(?P<password>:[^\s/@]*)?@", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<name>\b[\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)[\w-]*[\"']?\s*[=:]\s*[\"']?)"
    r"(?P<value>[^\s\"',;&]+)",
    re.IGNORECASE,
)


def masked(text: str, *, known: Iterable[str] = ()) -> str:
    """``text`` without passwords in URLs, without values that are called a secret, and without ``known`` ones."""
    for secret in known:
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    text = _IN_URL.sub(lambda found: f"{found['scheme']}{found['user'] if found['password'] else MASK}:{MASK}@", text)
    return _NAMED.sub(lambda found: f"{found['name']}{MASK}", text)
