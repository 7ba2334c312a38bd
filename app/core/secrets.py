"""Passwords do not belong into logs, pages and messages to people.

When in doubt a word too many is masked. Every pattern here takes time in proportion to the text: each begins
with fixed characters, repeats possessively (no way back), and looks around itself by a bounded number of characters.
"""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
#: Shorter ones stand in ordinary words.
_SHORTEST = 6
#: ``scheme://user:password@host``, and ``scheme://token@host`` as webhooks have it. Schemes of any length were
#: rejected: a long line of words with dots would be searched through again from each of its words.
_IN_URL = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]{0,30}://)(?P<user>[^\s:/@]*)(?P<password>:[^\s/@]*)?@", re.IGNORECASE
)
#: What stands before the word that calls it a secret need not be found, and what follows is bounded: as above.
_NAMED = re.compile(
    r"(?P<name>(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)[\w-]{0,60}[\"']?\s*[=:]\s*[\"']?)"
    r"(?P<value>[^\s\"',;&]+)",
    re.IGNORECASE,
)
#: A line without any of these has no secret with a name: asked first, since most lines have none.
_HINTS = ("passw", "secret", "token", "key")


def masked(text: str, *, known: Iterable[str] = ()) -> str:
    """``text`` without passwords in URLs, without values that are called a secret, and without ``known`` ones."""
    for secret in known:
        if secret in text and len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    if "://" in text and "@" in text:
        text = _IN_URL.sub(_without_password, text)
    lowered = text.lower()
    for hint in _HINTS:
        if hint in lowered:
            return _NAMED.sub(lambda found: f"{found['name']}{MASK}", text)
    return text


def _without_password(found: "re.Match[str]") -> str:
    return f"{found['scheme']}{found['user'] if found['password'] else MASK}:{MASK}@"
