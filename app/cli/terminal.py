"""The one way to a person's terminal: data stays text there, whatever it holds.

``rich`` reads ``[red]`` and ``:smile:`` in every string as its own language unless it is told not to, and hands on
what steers a terminal. Here no string has a language: a style stands beside its text, as ``text(("failed", "red"))``.
Nobody who prints can forget it, since everything that is printed comes through :class:`Terminal`.
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
    """A console that interprets nothing, tells no secret, and lets no text steer it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Every string that is printed, a cell of a table or a title becomes text here."""
        return super().render_str(visible(mask(text)), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Every text that is printed, however it was made, comes through here at last."""
        for segment in super().render(renderable, options):
            seen = segment.text if segment.control else visible(segment.text)
            yield segment if seen == segment.text else Segment(seen, segment.style)

    def status(self, status: RenderableType, **options: Any) -> Status:
        """Shows what is being done; a string would be markup to rich."""
        return super().status(self.render_str(status) if isinstance(status, str) else status, **options)


def text(*parts: Part) -> Text:
    """Parts with their styles, as one text for the terminal."""
    return Text().join(_part(part) for part in parts)


def foreign(value: object) -> str:
    """Text of a record, a model or an author: in one line, so that it looks like nothing else that is printed."""
    return in_one_line(mask(str(value)))


def _part(part: Part) -> Text:
    if isinstance(part, Text):
        return part
    said, style = (part, "") if isinstance(part, str) else part
    return Text(visible(mask(said)), style=style)
