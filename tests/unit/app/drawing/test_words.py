"""How pages and reports write numbers and times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.drawing.words import duration, lasted, moment, number, told


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


def test_what_is_at_work_has_lasted_until_now() -> None:
    """A person who waits for a run wants to know for how long."""
    start = datetime.now(UTC) - timedelta(hours=2, minutes=5, seconds=30)

    assert lasted(None, None) == "-"
    assert lasted(start, start + timedelta(seconds=3)) == "3.0 s"
    assert lasted(start, None) == "2 h 5 min"
    assert lasted(start + timedelta(days=1), None) == "0.0 s"  # another machine's clock


def test_a_moment_is_in_utc_until_the_script_shows_the_readers_zone() -> None:
    """With UTC on hover in both cases."""
    east = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert moment(east) == (
        '<time datetime="2026-02-28T22:30:00+00:00" title="2026-02-28 22:30:00 UTC">2026-02-28 22:30:00 UTC</time>'
    )
    assert moment(None) == "-"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("After a fix: `batchord retry picky`.", "After a fix: <code>batchord retry picky</code>."),
        ("`a` or `b`", "<code>a</code> or <code>b</code>"),
        ("<b>`<i>`</b>", "&lt;b&gt;<code>&lt;i&gt;</code>&lt;/b&gt;"),
        ("one ` alone", "one ` alone"),
        ("`two\nlines`", "`two\nlines`"),
    ],
)
def test_what_stands_between_backticks_is_code(text: str, html: str) -> None:
    """All of it is escaped."""
    assert told(text) == html
