"""Makes text from elsewhere safe for a terminal or a log that people read."""

import re

#: Characters that control a terminal, or that reorder or break a line so that it reads differently: C0 without tab and
#: newline, DEL, C1, the line and paragraph separators, the marks for the direction of writing, and lone surrogates,
#: which no terminal's encoding has.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: The beginning of a line that continues the text of the line before. No entry of a log begins like this.
CONTINUED = "  | "


def visible(text: str) -> str:
    r"""``text`` with each character that controls a terminal written as ``\xNN`` or ``\uNNNN``. Line ends stay."""
    return _UNSEEN.sub(_escaped, text)


def in_one_line(text: str) -> str:
    r"""Like :func:`visible`, but each line end is written as ``\n``."""
    return visible(text).replace("\n", "\\n")


def as_one_entry(text: str) -> str:
    """Like :func:`visible`, but each further line is marked, so that it cannot pass for another entry of the log."""
    return visible(text).replace("\n", f"\n{CONTINUED}")


def in_json(text: str) -> str:
    r"""JSON ``text`` with each character that controls a terminal escaped as JSON does it. It means the same."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code.bit_length() > 8 else f"\\x{code:02x}"  # noqa: PLR2004 -- the bits of two digits
