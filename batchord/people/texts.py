"""What a message may look like, whoever wrote it."""

import re

#: Mail clients and chats show no more of a title.
LONGEST_TITLE = 200
#: Chats refuse more; who wants all of it looks into the ledger.
LONGEST_BODY = 4000
_CUT = " …"
#: Control characters but the line's end and the tab, and halves of characters: XML and mail can carry none of them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def title_text(title: str) -> str:
    """``title`` on one line, so that it adds no header to a mail, and no longer than a title may be."""
    return _cut(" ".join(_UNPRINTABLE.sub(" ", title).split()), LONGEST_TITLE)


def body_text(body: str) -> str:
    """``body`` with plain line ends, and no longer than a body may be."""
    lines = _UNPRINTABLE.sub(" ", body.replace("\r\n", "\n").replace("\r", "\n"))
    return _cut(lines.strip(), LONGEST_BODY)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - len(_CUT)].rstrip() + _CUT
