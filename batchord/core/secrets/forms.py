"""How a known secret may be written: in URLs, JSON, HTML, Python, shells and base64."""

import html
import json
import re
import shlex
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from batchord.core.secrets.words import SHORTEST

#: What encoders of URLs leave as it is, besides letters, digits and ``_.-~``: RFC 3986, JavaScript's, SQLAlchemy's.
_SAFE = ("", "/", "!'()*", "!$&'()*+,;=", "!$&'()*+,;=:@", "!$&'()*+,;=:@/?", " +")
_ESCAPE = re.compile("%[0-9A-F]{2}")
_PLAIN = re.compile(r"[A-Za-z]+|[0-9]+")
_UNQUOTED = re.compile(r"([^\w@%+=:,./-])", re.ASCII)
#: Characters of base64 that tell enough: 42 bits.
_LEAST_BASE64 = 7


class Form(NamedTuple):
    """A text to look for."""

    text: str
    #: Only where no letter or digit is next to it: a secret of letters alone, or of digits, may stand in a
    #: longer word or number.
    alone: re.Pattern[str] | None


@lru_cache(maxsize=16)
def forms_of(secrets: tuple[str, ...]) -> tuple[Form, ...]:
    """All that is to be looked for, of secrets that are not too short.

    The longest first: a part of another must not be replaced before it.
    """
    found = {form.text: form for each in secrets if len(each) >= SHORTEST for form in _forms(each)}
    return tuple(sorted(found.values(), key=lambda form: (-len(form.text), form.text)))


def _forms(secret: str) -> Iterator[Form]:
    alone = re.compile(rf"(?<![^\W_]){secret}(?![^\W_])") if _PLAIN.fullmatch(secret) else None
    for text in {secret, *_in_urls(secret), *_escaped(secret)}:
        yield Form(text, alone if text == secret else None)
    for text in _in_base64(secret):
        yield Form(text, None)


def _in_urls(secret: str) -> Iterator[str]:
    for text in (*(quote(secret, safe=safe, errors="replace") for safe in _SAFE), quote_plus(secret, errors="replace")):
        yield text
        yield _ESCAPE.sub(lambda found: found[0].lower(), text)


def _escaped(secret: str) -> Iterator[str]:
    """In JSON, Python, HTML and shells; in the first two also twice, as where one quotes another's message."""
    for write in (_json, _readable_json, _python):
        yield write(secret)
        yield write(write(secret))
    escaped = html.escape(secret)
    yield from (escaped, escaped.replace("&#x27;", "&#39;"), html.escape(secret, quote=False))
    yield shlex.quote(secret).strip("'")
    yield secret.replace("'", "'\\''")
    yield _UNQUOTED.sub(r"\\\1", secret)


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _readable_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _python(text: str) -> str:
    return repr(text)[1:-1]


def _in_base64(secret: str) -> Iterator[str]:
    """What is the same whatever stands before and after it: three bytes become four characters."""
    data = secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        encoded = b64encode(bytes(before) + data).decode()
        begin = -(-before * 8 // 6)  # characters that hold a bit of what stands before
        core = encoded[begin : (before + len(data)) * 8 // 6]
        if len(core) >= _LEAST_BASE64:
            yield from {core, core.replace("+", "-").replace("/", "_")}


def replaced(text: str, secrets: Iterable[str], mask: str) -> str:
    """``text`` with every form of every secret replaced."""
    for form, alone in forms_of(tuple(secrets)):
        if form in text:
            text = text.replace(form, mask) if alone is None else alone.sub(mask, text)
    return text
