"""The check that no page prints an object in place of its text."""

import pytest
from tornado.template import Template

from tests.acceptance.flowers import misprints


class _Thing:
    """What a template may be given by mistake."""

    def name(self) -> str:
        """Must be called."""
        return "bound by no method"


@pytest.mark.parametrize("written", ["thing.name", "thing", "type(thing)", "len", "(each for each in [])", "misprints"])
def test_an_object_in_a_page_is_found(written: str) -> None:
    """Whatever kind it is of, and although it is escaped."""
    page = Template("<p>{{ " + written + " }}</p>").generate(thing=_Thing(), misprints=misprints).decode()
    assert misprints(page)


def test_words_are_no_misprints() -> None:
    """Neither markup nor what people write."""
    page = Template('<p class="a">{{ thing.name() }}, a function at 0x10 &lt;b&gt;</p>').generate(thing=_Thing())
    assert not misprints(page.decode())
