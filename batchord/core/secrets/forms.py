"""The forms in which a known secret may be written: in URLs, JSON, HTML, Python, shells and base64."""

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

#: Characters that encoders of URLs leave as they are, besides letters, digits and ``_.-~``: those of RFC 3986,
#: JavaScript and SQLAlchemy.
_SAFE = ("", "/", "!'()*", "!$&'()*+,;=", "!$&'()*+,;=:@", "!$&'()*+,;=:@/?", " +")
_ESCAPE = re.compile("%[0-9A-F]{2}")
_PLAIN = re.compile(r"[A-Za-z]+|[0-9]+")
_UNQUOTED = re.compile(r"([^\w@%+=:,./-])", re.ASCII)
#: The fewest characters of base64 to look for: 42 bits. Fewer could appear by chance.
_LEAST_BASE64 = 7


class Form(NamedTuple):
    """A text to look for."""

    text: str
    #: Matches the text only where no letter or digit is next to it, for a secret of letters alone or of digits alone:
    #: it may stand in a longer word or number. None: the text counts everywhere.
    alone: re.Pattern[str] | None


@lru_cache(maxsize=16)
def forms_of(secrets: tuple[str, ...]) -> tuple[Form, ...]:
    """All forms of the secrets that are not too short.

    The longest come first: a form that is a part of another must not be replaced before it.
    """
    forms = {form.text: form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
    return tuple(sorted(forms.values(), key=lambda form: (-len(form.text), form.text)))


def _forms(secret: str) -> Iterator[Form]:
    alone = re.compile(rf"(?<![^\W_]){secret}(?![^\W_])") if _PLAIN.fullmatch(secret) else None
    for text in {secret, *_in_urls(secret), *_escaped(secret)}:
        yield Form(text, alone if text == secret else None)
    for text in _in_base64(secret):
        yield Form(text, None)


def _in_urls(secret: str) -> Iterator[str]:
    for text in (*(quote(secret, safe=safe, errors="replace") for safe in _SAFE), quote_plus(secret, errors="replace")):
        yield text
        yield _ESCAPE.sub(lambda escape: escape[0].lower(), text)


def _escaped(secret: str) -> Iterator[str]:
    """As JSON, Python, HTML and shells write it. JSON and Python also twice: one error may quote another's message."""
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
    """The parts of the base64 text that do not depend on what is before and after the secret.

    Base64 turns three bytes into four characters, so there is one part for each place within the three bytes.
    """
    data = secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        encoded = b64encode(bytes(before) + data).decode()
        begin = -(-before * 8 // 6)  # these characters hold bits of what is before the secret
        core = encoded[begin : (before + len(data)) * 8 // 6]
        if len(core) >= _LEAST_BASE64:
            yield from {core, core.replace("+", "-").replace("/", "_")}


def replaced(text: str, secrets: Iterable[str], mask: str) -> str:
    """``text`` with every form of every secret replaced."""
    for form, alone in forms_of(tuple(secrets)):
        if form in text:
            text = text.replace(form, mask) if alone is None else alone.sub(mask, text)
    return text
