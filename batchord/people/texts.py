"""Cuts and cleans messages so that receivers accept them."""

import re

#: Characters of a title. Mail clients and chats show no more.
LONGEST_TITLE = 200
#: Characters of a body. Chats refuse more; the ledger holds the whole message.
LONGEST_BODY = 4000
_CUT = " …"
#: Characters that XML and mail cannot carry: control characters except line end and tab, and halves of characters.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def title_text(title: str) -> str:
    """``title`` cut to its longest length and on one line, so that it cannot add a header to a mail."""
    return _cut(" ".join(_UNPRINTABLE.sub(" ", title).split()), LONGEST_TITLE)


def body_text(body: str) -> str:
    """``body`` cut to its longest length, with plain line ends."""
    lines = _UNPRINTABLE.sub(" ", body.replace("\r\n", "\n").replace("\r", "\n"))
    return _cut(lines.strip(), LONGEST_BODY)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - len(_CUT)].rstrip() + _CUT
