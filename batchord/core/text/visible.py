"""Text of others, for a terminal or a log that people read."""

import re

#: What a terminal obeys, or what reorders or breaks a line so that it reads as another: C0 but tab and newline, DEL,
#: C1, the line and paragraph separators, the marks that turn the direction of writing, and lone surrogates, which no
#: terminal's encoding has.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: How a line begins that goes on with the text of the one before. No line of a log begins so.
CONTINUED = "  | "


def visible(text: str) -> str:
    r"""``text`` with each character that steers a terminal written as ``\xNN`` or ``\uNNNN``; lines stay lines."""
    return _UNSEEN.sub(_escaped, text)


def in_one_line(text: str) -> str:
    r"""As :func:`visible`, with each end of a line written as ``\n``."""
    return visible(text).replace("\n", "\\n")


def as_one_entry(text: str) -> str:
    """As :func:`visible`, with its further lines marked: what looks like an entry of its own is seen to be none."""
    return visible(text).replace("\n", f"\n{CONTINUED}")


def in_json(text: str) -> str:
    r"""JSON whose characters that steer a terminal are escaped as JSON does it: it means the same."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code.bit_length() > 8 else f"\\x{code:02x}"  # noqa: PLR2004 -- the bits of two digits
