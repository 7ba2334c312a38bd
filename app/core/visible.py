"""Text of others, for a terminal or a log that people read."""

import re

#: C0 but tab and newline, DEL, C1, and lone surrogates, which no terminal's encoding has.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def visible(text: str) -> str:
    r"""``text`` with each control character written as ``\xNN``: it could clear the screen or hide what is before."""
    return _UNSEEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code.bit_length() > 8 else f"\\x{code:02x}"  # noqa: PLR2004 -- the bits of two digits
