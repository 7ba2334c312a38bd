"""How pages write numbers, times and addresses."""

from datetime import datetime, timedelta, timezone

import pytest

from app.dashboard.pages.words import address, duration, link, moment, number


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0, "0"), (1234567, "1,234,567"), (1.25, "1.2"), (1234.5, "1,234")]
)
def test_numbers_have_separators(value: float | None, text: str) -> None:
    """Whole numbers whole, others short."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.04, "0.0 s"),
        (9.99, "10.0 s"),
        (59.4, "59 s"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (90061, "1 d 1 h"),
    ],
)
def test_times_have_at_most_two_units(seconds: float | None, text: str) -> None:
    """The largest ones."""
    assert duration(seconds) == text


def test_a_moment_is_in_utc_until_the_script_shows_the_readers_zone() -> None:
    """With UTC on hover in both cases."""
    east = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert moment(east) == (
        '<time datetime="2026-02-28T22:30:00+00:00" title="2026-02-28 22:30:00 UTC">2026-02-28 22:30:00 UTC</time>'
    )
    assert moment(None) == "-"


def test_addresses_hold_any_text() -> None:
    """A part cannot become two, and nothing in it ends the address."""
    assert address("", "run", "a/b?c#d") == "/run/a%2Fb%3Fc%23d"
    assert address("/flower", "record", pipeline="a&b", key='"<x>') == "/flower/record?pipeline=a%26b&key=%22%3Cx%3E"
    assert address("/flower", "runs", pipeline=None) == "/flower/runs"
    assert address("") == "/"


def test_links_are_escaped() -> None:
    """Both the address and the text."""
    assert link('/x?a="b"&c', "<b>") == '<a href="/x?a=&quot;b&quot;&amp;c">&lt;b&gt;</a>'
