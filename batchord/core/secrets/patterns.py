"""Passwords do not belong into logs, pages and messages to people.

Known secrets are masked exactly, in every form in which they are written. Besides them only what says itself that it
is one: a word too many would hide what is wrong. Every pattern here takes time in proportion to the text: each begins
with fixed characters, repeats possessively (no way back), and looks around itself by a bounded number of characters.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from batchord.core.secrets.forms import replaced
from batchord.core.secrets.key_blocks import MASK, without_key_blocks
from batchord.core.secrets.values import is_called_secret
from batchord.core.secrets.words import is_plain

#: A character within a word: a quote that ends a string is none.
_WITHIN = r"""[^\s"'`]|["'`](?=[^\s,;)}\]:])"""
#: ``://user:password@``, up to the last ``@`` of the word, since passwords are not always escaped. A number before
#: a slash is a port.
_IN_URL = re.compile(
    r"""(?<=\w)://(?P<user>[^\s:/?#"'`\[\]]*+):(?!\d{1,5}[/?#])"""
    rf"""(?P<password>(?:(?:(?!://)(?!@)(?:{_WITHIN}))*+@)++)""",
)
#: ``://token@``, as webhooks have it.
_TOKEN_IN_URL = re.compile(r"""(?<=\w)://(?:[^\s:/?#@"'`\[\]]++@)++""")
#: Webhooks of chat services, whose paths are their secrets.
_WEBHOOK = re.compile(
    r"(?P<place>hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d{1,20}/"
    r"|api\.telegram\.org/bot|webhook\.office\.com/webhookb2/)[\w/@:.~-]++"
)
#: What a secret is called. The special tokens of language models are none.
_CALLED = (
    r"(?:password|passwd|passphrase|(?<![a-z])pwd|(?<![a-z])pass(?=\s?=)|secret|authorization|"
    r"(?:api|access|account|private|encryption)[_-]?key|(?<=[?&])sig(?:nature)?|(?<=[?&]x-amz-)(?:signature|credential)|"
    r"(?<!(?:bos|eos|pad|unk|cls|sep)_)(?<!mask_)token)(?:[_-]?(?:access|hash|id|key|value|\d{1,3})){0,3}"
)
#: A separator within a bare value belongs to it, unless another ``name=`` follows.
_SEPARATOR = r"""[,;&](?!\s)(?!["']?[\w.-]{1,40}["']?\s?[=:])(?=\S)"""
_NAMED = re.compile(
    rf"""(?P<name>{_CALLED}(?![\w-])\\{{0,3}}["'`]?)"""
    # `password= host=h`: an empty one, followed by the next name
    r"""(?P<equals>[ \t]{1,8}[=:]{1,2}>?[ \t]{0,8}|[=:]{1,2}>?(?:[ \t]{1,8}(?![\w-]{1,40}=[^=\s]))?)"""
    r"""(?P<scheme>(?:(?:basic|bearer|digest|negotiate|token)[ \t]{1,8})?)"""
    r"""(?:"(?P<double>(?:[^"\\\n]|\\.)*+)|'(?P<single>(?:[^'\\\n]|\\.)*+)"""
    r"""|(?P<escape>\\["'])(?P<escaped>(?:[^"'\\\n]|\\\\\\?["']?|\\(?!["']))*+)"""
    rf"""|(?P<bare>(?:(?![,;&])(?:{_WITHIN})|{_SEPARATOR})++))""",
    re.IGNORECASE,
)
#: ``--password hunter2``, and as a list of arguments is written.
_FLAG = re.compile(
    rf"""(?P<flag>(?<![\w-])--(?P<name>[\w-]{{0,40}}?{_CALLED})["']?,?[ \t]{{1,4}}["']?)"""
    rf"""(?!-)(?P<value>(?:{_WITHIN})++)""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<scheme>\bbearer[ \t]{1,4})(?P<value>[\w.~+/=*-]{6,}+)", re.IGNORECASE)
#: ``-u user:password`` behind ``curl``, with other short options in one, or without the space.
_LOGIN = re.compile(
    r"""(?P<option>(?<![\w-])(?:-[a-zA-Z#]{0,8}?[uU]|--(?:proxy-)?user)(?:["']?,?[ \t]{1,4}|=)?["']?)"""
    rf"""(?P<user>[^\s:"'`=/-][^\s:"'`]{{0,80}}):(?P<password>(?:{_WITHIN})++)"""
)
_NEXT_COMMAND = re.compile(r"\n|[\s;](?:&&|[|;])|;\s")
#: How far before its option a command is looked for.
_COMMAND = 500
#: Tokens that say themselves what they are: GitHub, GitLab, Hugging Face, Slack, Stripe, language models, Google,
#: Amazon, npm, PyPI, SendGrid, DigitalOcean, JSON web tokens.
_TELLING = re.compile(
    r"(?<![A-Za-z0-9_])(?:gh[oprsu]_[A-Za-z0-9]{16,}+|github_pat_\w{16,}+|gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[\w-]{16,}+"
    r"|hf_[A-Za-z0-9]{16,}+|xox[abeoprs]-[\w-]{8,}+|xapp-[\w-]{10,}+|(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9]{10,}+"
    r"|sk-(?:ant|proj|svcacct|admin|or|lf)-[\w-]{16,}+|sk-[A-Za-z0-9]{16,}+|AIza[\w-]{30,}+|A[KS]IA[A-Z0-9]{12,}+"
    r"|npm_[A-Za-z0-9]{30,}+|pypi-[\w-]{16,}+|SG\.[\w-]{16,}+\.[\w-]{16,}+|dop_v1_[a-f0-9]{32,}+"
    r"|(?<!-)eyJ[\w-]{8,}+(?:\.[\w-]*+){2,4})",
    re.ASCII,
)
_NO_SECRETS = frozenset({"", "none", "null", "true", "false", MASK})
#: How code and documents write that a value belongs there: ``$PASSWORD``, ``<password>``, ``{password}``, ``%s``.
_PLACE = re.compile(r"\$\{?\w+\}?|<[\w -]*>|\{\w*\}|%\(?\w*\)?s|\.\.\.|…")
#: A token has letters and digits, and is no number of something.
_LEAST_TOKEN = 8


def masked(text: str, *, known: Iterable[str] = ()) -> str:
    """``text`` without ``known`` secrets, and without what says itself that it is one.

    Masked text stays as it is when it is masked again.
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
    """``text`` without ``known`` secrets; what merely looks like one stays."""
    return replaced(text, known, MASK)


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
    if isinstance(key, str) and isinstance(value, str) and is_called_secret(key):
        return value if value.lower() in _NO_SECRETS else MASK
    return masked_value(value, known=known)


def _in_url(found: re.Match[str]) -> str:
    user, password = found["user"], found["password"]
    if (user, password) == ("user", "password@"):  # how a URL is written, in our own advice
        return found[0]
    if not password.strip("@") or "@" in user:  # the token stands in the user's place
        return f"://{MASK}@"
    return f"://{user}:{MASK}@"


def _login(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - _COMMAND) : found.start()]
    _, command, between = before.rpartition("curl")
    if not command or _NEXT_COMMAND.search(between.replace("\\\n", "")):
        return found[0]
    return f"{found['option']}{found['user']}:{MASK}"


def _bearer(found: re.Match[str]) -> str:
    return found[0] if is_plain(found["value"]) else f"{found['scheme']}{MASK}"


def _flag(found: re.Match[str]) -> str:
    value = found["value"]
    return f"{found['flag']}{MASK}" if not is_plain(value) and _is_secret(found["name"], value) else found[0]


def _named(found: re.Match[str]) -> str:
    value = next(found[kind] for kind in ("double", "single", "escaped", "bare") if found[kind] is not None)
    # In a sentence a word follows: `password: must have 8 characters`.
    spaced = found["equals"] != found["equals"].strip(" \t")
    in_a_sentence = spaced and found["bare"] is not None and not found["scheme"]
    if (in_a_sentence and is_plain(value)) or not _is_secret(found["name"], value):
        return found[0]
    opening = '"' if found["double"] is not None else "'" if found["single"] is not None else found["escape"] or ""
    return f"{found['name']}{found['equals']}{found['scheme']}{opening}{MASK}"


def _is_secret(name: str, value: str) -> bool:
    """Whether a value that is called so is one."""
    if value.lower() in _NO_SECRETS or _PLACE.fullmatch(value):
        return False
    if "token" not in name.lower():
        return True
    # Of a text's tokens, too, people speak and write.
    return len(value) >= _LEAST_TOKEN and not is_plain(value) and bool(re.search(r"\d", value))


def _without_named(text: str) -> str:
    return _NAMED.sub(_named, _FLAG.sub(_flag, text) if "--" in text else text)


def _without_logins(text: str) -> str:
    return _TOKEN_IN_URL.sub(f"://{MASK}@", _IN_URL.sub(_in_url, text)) if "@" in text else text


#: What to do where one of these stands in the text in lower case: a look takes a hundredth of a pattern's time, and
#: most lines of a log hold none. Names before URLs, after all else: what one mask leaves over must not look like a
#: secret to another.
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
        lambda text: _WEBHOOK.sub(lambda found: f"{found['place']}{MASK}", text),
    ),
    (("curl",), lambda text: _LOGIN.sub(_login, text)),
    (("bearer",), lambda text: _BEARER.sub(_bearer, text)),
    (("pass", "pwd", "secret", "authorization", "key", "sig", "credential", "token"), _without_named),
    (("://",), _without_logins),
)
