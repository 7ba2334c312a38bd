"""Text of others steers no terminal and forges no line."""

import json
import unicodedata

import pytest

from batchord.core.text.visible import as_one_entry, in_json, in_one_line, visible

#: C0 but tab and line end, DEL, C1.
CONTROLS = [chr(code) for code in (*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0))]
#: What turns the direction of writing, and what ends lines without being a control character.
MARKS = [
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
    "\u061c",
    "\u200e",
    "\u200f",
    "\u2028",
    "\u2029",
]


@pytest.mark.parametrize("character", [*CONTROLS, *MARKS, "\ud800"], ids=lambda character: f"{ord(character):04x}")
def test_each_is_written_out(character: str) -> None:
    """As Python writes it; for programs it stays the same character."""
    for shown in (visible, in_one_line, as_one_entry):
        assert shown(f"a{character}b") in (f"a\\x{ord(character):02x}b", f"a\\u{ord(character):04x}b")
    written = in_json(json.dumps(f"a{character}b", ensure_ascii=False))
    assert json.loads(written) == f"a{character}b"
    assert character not in written


def test_no_mark_of_direction_was_forgotten() -> None:
    """By Unicode's own table."""
    turning = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    for code in range(0x110000):
        if unicodedata.bidirectional(chr(code)) in turning:
            assert visible(chr(code)) != chr(code)


@pytest.mark.parametrize("text", ["größer 😀 :smile: [red]", "a\tb", "مرحبا", "e\u0301", "👩\u200d🚀"])
def test_other_text_stays_as_it_is(text: str) -> None:
    """Letters of every language, and emoji of several parts."""
    assert visible(text) == in_one_line(text) == as_one_entry(text) == text


def test_lines() -> None:
    """They stay, are written out, or are marked: the reader knows where an entry begins."""
    assert visible("a\nb") == "a\nb"
    assert in_one_line("a\nb") == "a\\nb"
    assert as_one_entry("a\nb") == "a\n  | b"
