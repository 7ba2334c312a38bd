"""Whatever a title or a body holds, every receiver can carry what is made of it."""

from hypothesis import given
from hypothesis import strategies as st

from batchord.people.texts import body_text, title_text

ANY_TEXT = st.text(st.characters())


@given(ANY_TEXT)
def test_a_title_is_one_printable_line(text: str) -> None:
    """No line end, no control character, nothing that UTF-8 cannot say."""
    title = title_text(text)

    assert len(title.splitlines()) <= 1
    assert title.encode().decode() == title
    assert title_text(title) == title


@given(ANY_TEXT)
def test_a_body_keeps_its_lines(text: str) -> None:
    """And loses what XML and mail cannot carry."""
    body = body_text(text)

    assert "\0" not in body
    assert "\r" not in body
    assert body.encode().decode() == body
    assert body_text(body) == body


def test_ordinary_text_stays_as_it_is() -> None:
    """With its tabs, empty lines and characters of any language."""
    text = "Größe:\t5 記録\n\n  • ok 🙂\\n <b>&amp;</b>"

    assert body_text(text) == text
    assert body_text(" a\r\nb\rc \n") == "a\nb\nc"
    assert title_text("a \r\n b\tc") == "a b c"


def test_long_texts_are_cut() -> None:
    """The end says so."""
    assert title_text("word " * 100) == ("word " * 100)[:198].rstrip() + " …"
    assert body_text("b" * 4000) == "b" * 4000
    assert body_text("b" * 4001) == "b" * 3998 + " …"
