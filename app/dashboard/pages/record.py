"""The story of one record, as ``batchord why`` tells it."""

from datetime import datetime
from typing import Any

from batchord.core.errors import BatchordError, TransientError
from batchord.output.masking import mask
from batchord.reports.run_names import short_ids
from batchord.reports.why.story import RecordState, RecordStory, StepStory, story_of
from batchord.reports.why.telling import Line, RunName, answer, lines
from batchord.wiring import catalog, ledger, parts

from ...drawing.words import moment, told
from .asked import Field, asked, sealed, shows_records
from .page import Page
from .words import link


class RecordPage(Page):
    """A form, and the story of the record that it asks for.

    The story stands outside the part that is kept current: it reads the source, which may take long.
    """

    template, tab = "record", "record"

    def content(self) -> dict[str, Any]:
        """The story, if the address names a record."""
        pipeline, key, step = (asked(self, name) for name in ("pipeline", "key", "step"))
        shown: dict[str, Any] = {
            "fields": [
                Field(name="pipeline", label="Pipeline", value=pipeline, choices=catalog().names(), required=True),
                Field(name="key", label="Key", value=key, example="as the ledger writes it", required=True),
                Field(name="step", label="Step (optional)", value=step, example="all"),
            ],
            "shows_records": shows_records(),
            "story": None,
            "problem": None,
        }
        if not shown["shows_records"] or pipeline is None or key is None:
            return shown
        try:
            story = story_of(parts(), pipeline=pipeline, key=key, step=step)
        except TransientError:
            raise
        except BatchordError as error:  # such as an unknown step: the form stays, and says what is wrong
            return {**shown, "problem": mask(str(error))}
        return {**shown, **self._told(story)}

    def _told(self, story: RecordStory) -> dict[str, Any]:
        runs = [step.outcome.run_id for step in story.steps if step.outcome is not None]
        ids = short_ids(ledger(), runs)

        def html(line: Line) -> str:
            """The line as HTML."""
            return "".join(self._part(part, ids) for part in line.parts)

        return {
            "story": story,
            "answer": lambda step: mask(answer(step)),
            "lines": lambda step: [(line.title, html(line)) for line in lines(step)],
            "look_of": lambda step: step.state.value.replace(" ", "-"),
            "may_retry": _may_retry,
            "unread": [step for step in story.steps if step.source_error is not None],
            "sealed": sealed,
        }

    def _part(self, part: str | datetime | RunName, ids: Any) -> str:
        if isinstance(part, RunName):
            return link(self.address("run", part.id), ids.get(part.id, part.id))
        return moment(part) if isinstance(part, datetime) else told(mask(part))


def _may_retry(step: StepStory) -> bool:
    return step.state is RecordState.REJECTED and step.in_source is not False
