"""One run: what it is, what it waits for, how it went, and what a person does with it."""

import json
import re
from typing import Any
from uuid import uuid4

from tornado.web import HTTPError

from batchord.core.errors import ConfigurationError
from batchord.core.run.logs import AttemptName
from batchord.core.run.runs import Run
from batchord.flow.begin.rerun import rerun
from batchord.flow.drive.cancel import cancel_run
from batchord.output.masking import mask_known
from batchord.reports.logs import about_loss, first_log, last_entries
from batchord.reports.run_names import run_named, short_id
from batchord.reports.run_page import RunPageReport, run_page
from batchord.reports.timeline import TimedAttempt, looked_at_first
from batchord.wiring import ledger, log_store, parts

from ...drawing.charts import bars, histogram, spread
from .acting import actor, retry, send
from .asked import shows_records
from .page import Action, Page
from .run_drawings import graph_of, phases_of, progress_of, timeline_of
from .run_words import attempt_in_words, shown_error

#: How many lines of a log the page shows, and the most that the address may ask for.
_LINES, _MOST_LINES = 200, 2_000


class RunPage(Page):
    """One run by the beginning of its id, or the newest run of a pipeline by its name."""

    template, tab = "run", "runs"

    def content(self, name: str) -> dict[str, Any]:
        """The run, and the log of one attempt."""
        run = self._found(name)
        report = run_page(ledger(), run)
        chosen = self._chosen(report)
        return {
            "report": report,
            "run": report.outcome.run,
            "at_work": not run.state.ended,
            "params": mask_known(json.dumps(report.params, ensure_ascii=False, indent=1)) if report.params else "",
            "graph": graph_of(report, lambda step: self._log_address(run.id, step, None, None)),
            "timeline": timeline_of(report.timeline, lambda each: self._attempt_address(run.id, each)),
            "attempt_address": lambda each: self._attempt_address(run.id, each),
            "progress_of": progress_of,
            "phases_of": phases_of,
            "bars": bars,
            "spread": spread,
            "histogram": histogram,
            "chosen": chosen,
            "entries": self._entries(run.id, chosen) if chosen is not None and shows_records() else None,
            "about_loss": about_loss,
            "lines": self._lines(),
            "hides_records": not shows_records(),
            "shown_error": shown_error,
            "attempt_in_words": attempt_in_words,
        }

    def _found(self, name: str) -> Run:
        try:
            return run_named(ledger(), name)
        except ConfigurationError as error:
            raise HTTPError(404, reason="Not Found", log_message=str(error)) from error

    def _chosen(self, report: RunPageReport) -> TimedAttempt | None:
        """The attempt whose log is shown: the one that the address names, or the one that people look at first."""
        step, shard, attempt = (self.get_query_argument(name, None) for name in ("step", "shard", "attempt"))
        own = [each for each in report.timeline.attempts if step in (None, each.attempt.step)]
        if shard is not None:
            own = [each for each in own if str(each.attempt.shard) == shard]
        elif attempt is not None:
            own = [each for each in own if each.attempt.shard is None]
        if attempt is not None:
            own = [each for each in own if str(each.attempt.attempt) == attempt]
        return first_log(log_store(), report.outcome.run.id, own) if shows_records() else looked_at_first(own)

    def _entries(self, run_id: str, chosen: TimedAttempt) -> Any:
        return last_entries(log_store(), AttemptName(run_id, *chosen.place), lines=self._lines())

    def _lines(self) -> int:
        asked = self.get_query_argument("lines", "")
        return max(1, min(int(asked), _MOST_LINES)) if re.fullmatch("[0-9]{1,9}", asked) else _LINES

    def _attempt_address(self, run_id: str, each: TimedAttempt) -> str:
        return self._log_address(run_id, each.attempt.step, each.attempt.shard, each.attempt.attempt)

    def _log_address(self, run_id: str, step: str, shard: int | None, attempt: int | None) -> str:
        return self.address("run", run_id, step=step, shard=shard, attempt=attempt) + "#log"


class Rerun(Action):
    """Repeats a run, or its failed steps."""

    def act(self, run_id: str) -> tuple[str, str]:
        """Opens the run and sends its first message."""
        failed = self.get_body_argument("failed", "") == "yes"
        run, messages = rerun(parts(), run_id=run_id, failed=failed, request=str(uuid4()), actor=actor())
        send(messages)
        which = "the failed steps of run" if failed else "run"
        return f"This run repeats {which} {short_id(ledger(), run_id)}.", self.address("run", run.id)


class Cancel(Action):
    """Ends a run."""

    def act(self, run_id: str) -> tuple[str, str]:
        """Ends it, and sends the message that starts the next one."""
        had_ended = ledger().runs.get(run_id).state.ended
        send(cancel_run(parts(), run_id=run_id, actor=actor()))
        text = "The run had ended before, so nothing was changed." if had_ended else "The run was cancelled."
        return text, self.address("run", run_id)


class Retry(Action):
    """Predicts rejected records of the run's pipeline again."""

    def act(self, run_id: str) -> tuple[str, str]:
        """Removes the rejections, all or those of a reason, and starts a run that predicts their records."""
        name, reason = ledger().runs.get(run_id).pipeline, self.get_body_argument("reason", "") or None
        text, run = retry(pipeline=name, reason=reason)
        return text, self.address("run", run_id if run is None else run.id)
