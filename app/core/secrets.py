"""Passwords do not belong into logs, pages and messages to people.

When in doubt a word too many is masked. Every pattern here takes time in proportion to the text: each begins
with fixed characters, repeats possessively (no way back), and looks around itself by a bounded number of characters.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
#: Shorter ones stand in ordinary words.
_SHORTEST = 6

#: A character within a word: a quote that ends a string is none.
_WITHIN = r"""[^\s"'`]|["'`](?=[^\s,;)}\]:])"""
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----END ).)*+(?:-----END [A-Z ]{0,40}-----)?", re.DOTALL
)
#: ``://user:password@``, up to the last ``@`` of the word, since passwords are not always escaped. A number before
#: a slash is a port.
_IN_URL = re.compile(
    r"""(?<=\w)://(?P<user>[^\s:/?#"'`\[\]]*+):(?!\d{1,5}[/?#])"""
    rf"""(?P<password>(?:(?:(?!://)(?!@)(?:{_WITHIN}))*+@)++)""",
)
#: ``://token@``, as webhooks have it.
_TOKEN_IN_URL = re.compile(r"""(?<=\w)://(?:[^\s:/?#@"'`\[\]]++@)++""")
#: What a secret is called. Tokenizers and the special tokens of language models are no secrets.
_CALLED = (
    r"password|passwd|passphrase|(?<![a-z])pwd|(?<![a-z])pass(?=\s?=)|secret|authorization|"
    r"(?:api|access|account|private|encryption)[_-]?key|signature|(?<=[?&])sig|"
    # neither `64 tokens: too many`
    r"(?<!(?:bos|eos|pad|unk|cls|sep)_)(?<!mask_)(?<!\d )token(?!i[sz])"
)
#: A separator within a bare value belongs to it, unless another ``name=`` follows.
_SEPARATOR = r"""[,;&](?!\s)(?!["']?[\w.-]{1,40}["']?\s?[=:])(?=\S)"""
_CALLED_WHOLLY = re.compile(_CALLED, re.IGNORECASE)
_NAMED = re.compile(
    rf"""(?P<name>(?:{_CALLED})[\w-]{{0,40}}\\{{0,3}}["'`]?)"""
    # `password= host=h`: an empty one, followed by the next name
    r"""(?P<equals>[ \t]{1,8}[=:]{1,2}>?[ \t]{0,8}|[=:]{1,2}>?(?:[ \t]{1,8}(?![\w-]{1,40}=[^=\s]))?)"""
    r"""(?P<scheme>(?:(?:basic|bearer|digest|negotiate|token)[ \t]{1,8})?)"""
    r"""(?:"(?P<double>(?:[^"\\\n]|\\.)*+)|'(?P<single>(?:[^'\\\n]|\\.)*+)"""
    r"""|(?P<escape>\\["'])(?P<escaped>(?:[^"'\\\n]|\\\\\\?["']?|\\(?!["']))*+)"""
    rf"""|(?P<bare>(?:(?![,;&])(?:{_WITHIN})|{_SEPARATOR})++))""",
    re.IGNORECASE,
)
_FLAG = re.compile(
    rf"""(?P<flag>(?<![\w-])--[\w-]{{0,40}}?(?:{_CALLED})[\w-]{{0,20}}[ \t]{{1,4}})(?!-)(?:{_WITHIN})++""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<scheme>\bbearer[ \t]{1,4})[\w.~+/=*-]{6,}+", re.IGNORECASE)
#: Tokens that say themselves what they are: GitHub, GitLab, Hugging Face, Slack, Stripe, Google, JSON web tokens.
_TELLING = re.compile(
    r"\b(?:gh[a-z]_|github_pat_|glpat-|hf_|xox[a-z]-|[rs]k_live_|sk-|AIza|eyJ)[\w-]{16,}+(?:\.[\w-]++)*+"
)
#: Without any of these, in lower case, no pattern above finds anything.
_HINTS = (
    *("pass", "pwd", "secret", "authorization", "key", "signature", "sig", "token", "bearer", "://", "-----begin"),
    *("gh", "glpat-", "hf_", "xox", "_live_", "sk-", "aiza", "eyj"),
)
_NO_SECRETS = frozenset({"", "none", "null", "true", "false", MASK})
#: ``max_tokens=512`` counts; a longer number may be a token.
_LONGEST_COUNT = 9


def masked(text: str, *, known: Iterable[str] = ()) -> str:
    """``text`` without passwords in URLs, without values that are called a secret, and without ``known`` ones.

    Masked text stays as it is when it is masked again.
    """
    text = without(known, text)
    # Most lines of a log hold nothing that even looks like a secret: a few looks tell, in a microsecond.
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):
        return text
    text = _KEY_BLOCK.sub(MASK, text)
    text = _TELLING.sub(MASK, text)
    text = _BEARER.sub(lambda found: f"{found['scheme']}{MASK}", text)
    text = _FLAG.sub(lambda found: f"{found['flag']}{MASK}", text)
    # Names before URLs, after all else: what one mask leaves over must not look like a secret to another.
    text = _NAMED.sub(_named, text)
    return _TOKEN_IN_URL.sub(f"://{MASK}@", _IN_URL.sub(_in_url, text))


def without(known: Iterable[str], text: str) -> str:
    """``text`` without ``known`` secrets; what merely looks like one stays."""
    for secret in _known_forms(tuple(known)):
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def masked_value(value: Any, *, known: Iterable[str] = ()) -> Any:
    """``value`` as it is, with every text in its dicts, lists and tuples masked, and texts that are called a secret."""
    if isinstance(value, str):
        return masked(value, known=known)
    if isinstance(value, Mapping):
        return {key: _masked_item(key, each, known=known) for key, each in value.items()}
    if isinstance(value, list | tuple):
        items = [masked_value(each, known=known) for each in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _masked_item(key: Any, value: Any, *, known: Iterable[str]) -> Any:
    if isinstance(key, str) and isinstance(value, str) and _CALLED_WHOLLY.search(key):
        return value if value.lower() in _NO_SECRETS else MASK
    return masked_value(value, known=known)


@lru_cache(maxsize=16)
def _known_forms(known: tuple[str, ...]) -> tuple[str, ...]:
    """All that is to be looked for, the longest first: a part of another must not be replaced before it."""
    return tuple(sorted({form for each in known for form in _forms(each)}, key=len, reverse=True))


def _forms(secret: str) -> Iterator[str]:
    """The secret as it stands in texts, in URLs, JSON, HTML and Python; none for one that is too short."""
    if len(secret) >= _SHORTEST:
        yield from (secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1])
        yield from (html.escape(secret), repr(secret)[1:-1])


def _in_url(found: re.Match[str]) -> str:
    user, password = found["user"], found["password"]
    if (user, password) == ("user", "password@"):  # how a URL is written, in our own advice
        return found[0]
    if not password.strip("@") or "@" in user:  # the token stands in the user's place
        return f"://{MASK}@"
    return f"://{user}:{MASK}@"


def _named(found: re.Match[str]) -> str:
    value = next(found[kind] for kind in ("double", "single", "escaped", "bare") if found[kind] is not None)
    counts = "token" in found["name"].lower() and value.isdigit() and len(value) <= _LONGEST_COUNT
    if counts or value.lower() in _NO_SECRETS:
        return found[0]
    opening = '"' if found["double"] is not None else "'" if found["single"] is not None else found["escape"] or ""
    return f"{found['name']}{found['equals']}{found['scheme']}{opening}{MASK}"
