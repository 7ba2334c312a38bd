"""The only way to a person's terminal. Data stay plain text there, whatever they contain.

By default, ``rich`` reads ``[red]`` and ``:smile:`` in every string as markup, and passes on control characters. Here
no string is markup: a style stands beside its text, as in ``text(("failed", "red"))``. No caller can forget this,
since everything that is printed goes through :class:`Terminal`.
"""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

from batchord.core.text.visible import in_one_line, visible
from batchord.output.masking import mask

#: A text, or a text and its style.
Part = str | tuple[str, str] | Text


class Terminal(Console):
    """A console that interprets no markup, prints no secret, and passes on no control character."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Turns a string, a cell of a table or a title into plain text."""
        return super().render_str(visible(mask(text)), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Cleans every printed text: in the end, all of them come through here."""
        for segment in super().render(renderable, options):
            seen = segment.text if segment.control else visible(segment.text)
            yield segment if seen == segment.text else Segment(seen, segment.style)

    def status(self, status: RenderableType, **options: Any) -> Status:
        """Shows what is being done. For rich, a string would be markup."""
        return super().status(self.render_str(status) if isinstance(status, str) else status, **options)


def text(*parts: Part) -> Text:
    """Parts with their styles, as one text for the terminal."""
    return Text().join(_part(part) for part in parts)


def foreign(value: object) -> str:
    """Text of a record, a model or an author, in one line, so that it cannot imitate other output."""
    return in_one_line(mask(str(value)))


def _part(part: Part) -> Text:
    if isinstance(part, Text):
        return part
    string, style = (part, "") if isinstance(part, str) else part
    return Text(visible(mask(string)), style=style)
