"""Masks secrets: passwords do not belong in logs, pages or messages to people.

Known secrets are masked exactly, in every form in which they may be written. Besides them, only text that clearly looks
like a secret is masked: one masked word too many would hide what is wrong. Every pattern takes time in proportion to
the text: it begins with fixed characters, repeats possessively (it never backtracks), and looks around itself by a
bounded number of characters.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from batchord.core.secrets.forms import replaced
from batchord.core.secrets.key_blocks import MASK, without_key_blocks
from batchord.core.secrets.values import is_called_secret
from batchord.core.secrets.words import is_plain

#: A character within a word. A quote that ends a string is not one.
_WITHIN = r"""[^\s"'`]|["'`](?=[^\s,;)}\]:])"""
#: ``://user:password@``, up to the last ``@`` of the word, since passwords are not always escaped. A number before
#: a slash is a port.
_IN_URL = re.compile(
    r"""(?<=\w)://(?P<user>[^\s:/?#"'`\[\]]*+):(?!\d{1,5}[/?#])"""
    rf"""(?P<password>(?:(?:(?!://)(?!@)(?:{_WITHIN}))*+@)++)""",
)
#: ``://token@``, as in addresses of webhooks.
_TOKEN_IN_URL = re.compile(r"""(?<=\w)://(?:[^\s:/?#@"'`\[\]]++@)++""")
#: Webhooks of chat services, whose paths are their secrets.
_WEBHOOK = re.compile(
    r"(?P<place>hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d{1,20}/"
    r"|api\.telegram\.org/bot|webhook\.office\.com/webhookb2/)[\w/@:.~-]++"
)
#: Names of secrets. The special tokens of language models, such as ``eos_token``, are not secrets.
_CALLED = (
    r"(?:password|passwd|passphrase|(?<![a-z])pwd|(?<![a-z])pass(?=\s?=)|secret|authorization|"
    r"(?:api|access|account|private|encryption)[_-]?key|(?<=[?&])sig(?:nature)?|(?<=[?&]x-amz-)(?:signature|credential)|"
    r"(?<!(?:bos|eos|pad|unk|cls|sep)_)(?<!mask_)token)(?:[_-]?(?:access|hash|id|key|value|\d{1,3})){0,3}"
)
#: A separator within an unquoted value. It belongs to the value, unless another ``name=`` follows.
_SEPARATOR = r"""[,;&](?!\s)(?!["']?[\w.-]{1,40}["']?\s?[=:])(?=\S)"""
_NAMED = re.compile(
    rf"""(?P<name>{_CALLED}(?![\w-])\\{{0,3}}["'`]?)"""
    # `password= host=h`: the value is empty, and the next name follows
    r"""(?P<equals>[ \t]{1,8}[=:]{1,2}>?[ \t]{0,8}|[=:]{1,2}>?(?:[ \t]{1,8}(?![\w-]{1,40}=[^=\s]))?)"""
    r"""(?P<scheme>(?:(?:basic|bearer|digest|negotiate|token)[ \t]{1,8})?)"""
    r"""(?:"(?P<double>(?:[^"\\\n]|\\.)*+)|'(?P<single>(?:[^'\\\n]|\\.)*+)"""
    r"""|(?P<escape>\\["'])(?P<escaped>(?:[^"'\\\n]|\\\\\\?["']?|\\(?!["']))*+)"""
    rf"""|(?P<bare>(?:(?![,;&])(?:{_WITHIN})|{_SEPARATOR})++))""",
    re.IGNORECASE,
)
#: ``--password hunter2``, also within a list of arguments.
_FLAG = re.compile(
    rf"""(?P<flag>(?<![\w-])--(?P<name>[\w-]{{0,40}}?{_CALLED})["']?,?[ \t]{{1,4}}["']?)"""
    rf"""(?!-)(?P<value>(?:{_WITHIN})++)""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<scheme>\bbearer[ \t]{1,4})(?P<value>[\w.~+/=*-]{6,}+)", re.IGNORECASE)
#: ``-u user:password`` after ``curl``, also joined with other short options or without the space.
_LOGIN = re.compile(
    r"""(?P<option>(?<![\w-])(?:-[a-zA-Z#]{0,8}?[uU]|--(?:proxy-)?user)(?:["']?,?[ \t]{1,4}|=)?["']?)"""
    rf"""(?P<user>[^\s:"'`=/-][^\s:"'`]{{0,80}}):(?P<password>(?:{_WITHIN})++)"""
)
_NEXT_COMMAND = re.compile(r"\n|[\s;](?:&&|[|;])|;\s")
#: How many characters before the option the command ``curl`` may stand.
_COMMAND = 500
#: Tokens whose beginning says what they are: those of GitHub, GitLab, Hugging Face, Slack, Stripe, language models,
#: Google, Amazon, npm, PyPI, SendGrid and DigitalOcean, and JSON web tokens.
_TELLING = re.compile(
    r"(?<![A-Za-z0-9_])(?:gh[oprsu]_[A-Za-z0-9]{16,}+|github_pat_\w{16,}+|gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[\w-]{16,}+"
    r"|hf_[A-Za-z0-9]{16,}+|xox[abeoprs]-[\w-]{8,}+|xapp-[\w-]{10,}+|(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9]{10,}+"
    r"|sk-(?:ant|proj|svcacct|admin|or|lf)-[\w-]{16,}+|sk-[A-Za-z0-9]{16,}+|AIza[\w-]{30,}+|A[KS]IA[A-Z0-9]{12,}+"
    r"|npm_[A-Za-z0-9]{30,}+|pypi-[\w-]{16,}+|SG\.[\w-]{16,}+\.[\w-]{16,}+|dop_v1_[a-f0-9]{32,}+"
    r"|(?<!-)eyJ[\w-]{8,}+(?:\.[\w-]*+){2,4})",
    re.ASCII,
)
_NO_SECRETS = frozenset({"", "none", "null", "true", "false", MASK})
#: Placeholders of code and documents: ``$PASSWORD``, ``<password>``, ``{password}``, ``%s``.
_PLACE = re.compile(r"\$\{?\w+\}?|<[\w -]*>|\{\w*\}|%\(?\w*\)?s|\.\.\.|…")
#: The fewest characters of a token. A shorter value after the word token may count tokens.
_LEAST_TOKEN = 8


def masked(text: str, *, known: Iterable[str] = ()) -> str:
    """``text`` without the ``known`` secrets, and without text that clearly looks like a secret.

    Masking a masked text again changes nothing.
    """
    text = without(known, text)
    lowered = text.lower()
    for hints, mask in _PATTERNS:
        for hint in hints:
            if hint in lowered:
                text = mask(text)
                break
    return text


def without(known: Iterable[str], text: str) -> str:
    """``text`` without the ``known`` secrets. Text that only looks like a secret stays."""
    return replaced(text, known, MASK)


def masked_value(value: Any, *, known: Iterable[str] = ()) -> Any:
    """``value`` with every text in its dicts, lists and tuples masked. A text whose key names a secret is hidden."""
    if isinstance(value, str):
        return masked(value, known=known)
    if isinstance(value, Mapping):
        return {key: _masked_item(key, item, known=known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [masked_value(item, known=known) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _masked_item(key: Any, value: Any, *, known: Iterable[str]) -> Any:
    if isinstance(key, str) and isinstance(value, str) and is_called_secret(key):
        return value if value.lower() in _NO_SECRETS else MASK
    return masked_value(value, known=known)


def _masked_url(match: re.Match[str]) -> str:
    user, password = match["user"], match["password"]
    if (user, password) == ("user", "password@"):  # the example of a URL in our own advice
        return match[0]
    if not password.strip("@") or "@" in user:  # the token stands in the user's place
        return f"://{MASK}@"
    return f"://{user}:{MASK}@"


def _masked_login(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - _COMMAND) : match.start()]
    _, command, between = before.rpartition("curl")
    if not command or _NEXT_COMMAND.search(between.replace("\\\n", "")):
        return match[0]
    return f"{match['option']}{match['user']}:{MASK}"


def _masked_bearer(match: re.Match[str]) -> str:
    return match[0] if is_plain(match["value"]) else f"{match['scheme']}{MASK}"


def _masked_flag(match: re.Match[str]) -> str:
    value = match["value"]
    return f"{match['flag']}{MASK}" if not is_plain(value) and _is_secret(match["name"], value) else match[0]


def _masked_named(match: re.Match[str]) -> str:
    value = next(match[kind] for kind in ("double", "single", "escaped", "bare") if match[kind] is not None)
    # In a sentence, a word follows instead of a secret: `password: must have 8 characters`.
    spaced = match["equals"] != match["equals"].strip(" \t")
    in_a_sentence = spaced and match["bare"] is not None and not match["scheme"]
    if (in_a_sentence and is_plain(value)) or not _is_secret(match["name"], value):
        return match[0]
    opening = '"' if match["double"] is not None else "'" if match["single"] is not None else match["escape"] or ""
    return f"{match['name']}{match['equals']}{match['scheme']}{opening}{MASK}"


def _is_secret(name: str, value: str) -> bool:
    """Whether a value is a secret, given the name that it stands under."""
    if value.lower() in _NO_SECRETS or _PLACE.fullmatch(value):
        return False
    if "token" not in name.lower():
        return True
    # The tokens of a text are called tokens, too.
    return len(value) >= _LEAST_TOKEN and not is_plain(value) and bool(re.search(r"\d", value))


def _without_named(text: str) -> str:
    return _NAMED.sub(_masked_named, _FLAG.sub(_masked_flag, text) if "--" in text else text)


def _without_logins(text: str) -> str:
    return _TOKEN_IN_URL.sub(f"://{MASK}@", _IN_URL.sub(_masked_url, text)) if "@" in text else text


#: Which mask to apply if one of the hints is in the text in lower case. Looking for a hint takes a hundredth of the
#: pattern's time, and most lines of a log hold no hint. The order matters: names come after all others, and URLs last,
#: because the rest that one mask leaves must not look like a secret to the next.
_PATTERNS: tuple[tuple[tuple[str, ...], Callable[[str], str]], ...] = (
    (("private key",), without_key_blocks),
    (
        (
            *("ghp_", "gho_", "ghr_", "ghs_", "ghu_", "github_pat_", "glp", "gldt-", "glrt-", "glcbt-", "glft-"),
            *("glsoat-", "hf_", "xox", "xapp-", "k_live_", "k_test_", "whsec_", "sk-", "aiza", "akia", "asia", "npm_"),
            *("pypi-", "sg.", "dop_v1_", "eyj"),
        ),
        lambda text: _TELLING.sub(MASK, text),
    ),
    (
        ("hooks.slack", "webhook", "telegram"),
        lambda text: _WEBHOOK.sub(lambda match: f"{match['place']}{MASK}", text),
    ),
    (("curl",), lambda text: _LOGIN.sub(_masked_login, text)),
    (("bearer",), lambda text: _BEARER.sub(_masked_bearer, text)),
    (("pass", "pwd", "secret", "authorization", "key", "sig", "credential", "token"), _without_named),
    (("://",), _without_logins),
)
