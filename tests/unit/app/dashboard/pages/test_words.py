"""How pages write addresses."""

from app.dashboard.pages.words import address, link


def test_addresses_hold_any_text() -> None:
    """A part cannot become two, and nothing in it ends the address."""
    assert address("", "run", "a/b?c#d") == "/run/a%2Fb%3Fc%23d"
    assert address("/flower", "record", pipeline="a&b", key='"<x>') == "/flower/record?pipeline=a%26b&key=%22%3Cx%3E"
    assert address("/flower", "runs", pipeline=None) == "/flower/runs"
    assert address("") == "/"


def test_links_are_escaped() -> None:
    """Both the address and the text."""
    assert link('/x?a="b"&c', "<b>") == '<a href="/x?a=&quot;b&quot;&amp;c">&lt;b&gt;</a>'
