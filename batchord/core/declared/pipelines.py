"""Declarations of pipelines: a pipeline is a schedule and steps.

A declaration never raises because of the values in it. Instead ``problems()`` lists them, so that the catalog can
report all problems of a file together.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import Any, Literal

from batchord.core.calendar.schedules import AfterPipeline, Schedule, schedule_from_json
from batchord.core.declared.alerts import Alerts
from batchord.core.declared.checks import is_whole, kind_of, problems_of, shown
from batchord.core.declared.limits import RejectionLimit
from batchord.core.declared.models import Model, ModelFunction
from batchord.core.declared.retries import Retry
from batchord.core.declared.sources import Source
from batchord.core.declared.steps import Predict, Step, TaskStep
from batchord.core.errors import UnknownStep
from batchord.core.run.graph import cycle, upstream
from batchord.core.run.results import TableName
from batchord.core.run.runs import NewStep
from batchord.core.text.calls import NamesOptions
from batchord.core.text.names import as_names, is_name
from batchord.core.text.similar import meant

log = logging.getLogger(__name__)

#: What a tick does while an earlier run of the pipeline is still active.
Overlap = Literal["skip", "queue"]
#: What happens to fire times that passed while beat was not running: one run for the newest, or one for each.
Catchup = Literal["latest", "all"]


@dataclass(frozen=True)
class Pipeline(NamesOptions):
    """A schedule and steps under one name. With a single Predict step, ``source`` and ``model`` suffice.

    Args:
        name: The name of the pipeline, in lower case, unique in the folder.
        schedule: ``every``, ``cron``, ``once``, ``rrule`` or ``after_pipeline``. None: only people start runs.
        steps: The steps of its graph. Leave them out if ``source`` and ``model`` make the only step.
        source: The source of the only step.
        model: The model of the only step: a declaration, or a plain function of a DataFrame.
        rejection_limit: The rejection limit of the only step, if ``source`` and ``model`` make it.
        overlap: What a tick does while an earlier run is active: ``skip`` its run, or ``queue`` it.
        catchup: Which slots that passed while beat did not run get a run: the ``latest``, or ``all``.
        max_active_runs: How many runs may be running at the same time. More than one is allowed only if no two read
            the same records.
        jitter: Ticks come later by a part of this time, so that many pipelines of one schedule do not all start at
            once. The part is always the same for a pipeline of this name. The slot stays the schedule's.
        retry: The retry of steps that declare none of their own.
        alerts: The alerts that it sends besides the usual ones.
        description: One line for people, shown by ``batchord pipelines``.
    """

    name: str
    _: KW_ONLY
    schedule: Schedule | AfterPipeline | None = None
    steps: Sequence[Step] = ()
    source: Source | None = field(default=None, repr=False)
    model: Model | ModelFunction | None = field(default=None, repr=False)
    rejection_limit: RejectionLimit = field(default_factory=RejectionLimit, repr=False)
    overlap: Overlap = "skip"
    catchup: Catchup = "latest"
    max_active_runs: int = 1
    jitter: timedelta = timedelta(0)
    retry: Retry | None = None
    alerts: Alerts = field(default_factory=Alerts, repr=False)
    description: str = ""
    #: Whether ``steps`` was empty, as in the form with ``source`` and ``model``.
    short_form: bool = field(init=False, repr=False, default=False)
    #: False if the author wrote a single step instead of a list of steps.
    listed: bool = field(init=False, repr=False, default=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "listed", not isinstance(self.steps, Step))
        steps: tuple[Any, ...] = as_names(self.steps)
        object.__setattr__(self, "short_form", not steps)
        if not steps and self.source is not None and self.model is not None:
            limit = self.rejection_limit
            steps = (Predict("predict", source=self.source, model=self.model, rejection_limit=limit),)
        object.__setattr__(self, "steps", steps)

    @property
    def predict_steps(self) -> list[Predict]:
        """The steps that predict records."""
        return [step for step in self.steps if isinstance(step, Predict)]

    @property
    def uses_window(self) -> bool:
        """Whether the source of any step reads its run's window."""
        return any(step.source.uses_window for step in self.predict_steps)

    @property
    def sees_everything(self) -> bool:
        """Whether a run reads all records that exist at that time, whatever its slot.

        Only pipelines of Predict steps can tell: nobody knows what a function or a command reads.
        """
        return not self.uses_window and len(self.predict_steps) == len(self.steps)

    def scheduled_by(self, switched: Mapping[str, Any] | None) -> Schedule | None:
        """The schedule by time that holds now; None if the pipeline has none.

        ``switched``: the schedule that a person set at run time, as JSON. Without it the file's schedule holds.
        """
        if isinstance(self.schedule, AfterPipeline):
            return None
        try:
            return self.schedule if switched is None else schedule_from_json(switched)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # Another release wrote it, or this machine does not know its time zone.
            log.error("%s uses its file's schedule: its switched schedule cannot be read: %s", self.name, error)  # noqa: TRY400
            return self.schedule

    @property
    def disjoint(self) -> bool:
        """Whether runs that are running at the same time must have windows that do not overlap."""
        return bool(self.predict_steps)

    @property
    def after(self) -> AfterPipeline | None:
        """Which pipeline this one follows; None if it follows none."""
        return self.schedule if isinstance(self.schedule, AfterPipeline) else None

    def step(self, name: str) -> Step:
        """The step of that name. Raises UnknownStep if the pipeline has no such step, since its file was edited."""
        for step in self.steps:
            if step.name == name:
                return step
        raise UnknownStep(
            f"Pipeline {self.name!r} has no step {name!r} in this process: its file has changed since the run began."
        )

    def predict_step(self, name: str) -> Predict:
        """The Predict step of that name. Raises UnknownStep like :meth:`step`."""
        step = self.step(name)
        if isinstance(step, Predict):
            return step
        raise UnknownStep(
            f"Step {name!r} of pipeline {self.name!r} is a {type(step).__name__} step in this process: its file has "
            "changed since the run began."
        )

    def task(self, name: str) -> TaskStep:
        """The step of that name, which is no Predict step. Raises UnknownStep as :meth:`step` does."""
        step = self.step(name)
        if isinstance(step, TaskStep):
            return step
        raise UnknownStep(
            f"Step {name!r} of pipeline {self.name!r} is a {type(step).__name__} step in this process: its file "
            "changed since the run began."
        )

    def new_steps(self) -> tuple[NewStep, ...]:
        """The steps as they are written into the ledger for a new run."""
        return tuple(
            NewStep(
                name=step.name,
                kind=step.kind,
                after=tuple(step.after),
                join=step.join,
                queue=step.queue if isinstance(step, TaskStep) else None,
                time_limit=step.process_seconds if isinstance(step, TaskStep) else None,
            )
            for step in self.steps
        )

    def problems(self) -> list[str]:
        """The problems of the pipeline and its steps, one sentence each; empty if there are none."""
        problems = []
        if not is_name(self.name):
            problems.append(f"{self.name!r} cannot be a pipeline name: use lower-case letters, digits, '_' and '-'")
        if not self.steps and self.source is not None:
            problems.append("it has a source and no model: give model=, such as a function by its name alone")
        elif not self.steps:
            problems.append("it has no steps: give source= and model=, or steps=[...]")
        elif not self.short_form and (self.source is not None or self.model is not None):
            problems.append("both steps= and source= or model= are given: keep one of the two forms")
        if not self.listed:
            problems.append("steps= is a single step: give a list, steps=[...]")
        if not isinstance(self.description, str):
            problems.append(f"description= is {kind_of(self.description)}: give a text")
        problems += problems_of(self._option_problems)
        for step in self.steps:
            if not isinstance(step, Predict | TaskStep):
                problems.append(f"steps holds {kind_of(step)}: give Predict, Python, Sql, Bash or Branch")
                continue
            problems += [f"step {step.name!r}: {problem}" for problem in problems_of(step.problems)]
        problems += problems_of(self._table_problems)
        return problems + problems_of(self._graph_problems) + problems_of(self._concurrency_problems)

    def _option_problems(self) -> list[str]:
        problems = []
        for option, allowed in (("overlap", ("skip", "queue")), ("catchup", ("latest", "all"))):
            if getattr(self, option) not in allowed:
                problems.append(f"{option}={getattr(self, option)!r} is unknown: use {allowed[0]!r} or {allowed[1]!r}")
        if self.schedule is not None:
            # The class Every, written without an interval, has a slot_at too.
            if hasattr(self.schedule, "slot_at") and not isinstance(self.schedule, type):
                problems += problems_of(self.schedule.problems)
            else:
                problems.append(
                    f"schedule={shown(self.schedule)}: give a schedule such as every(minutes=10) or cron('0 * * * *')"
                )
        if not isinstance(self.jitter, timedelta) or self.jitter < timedelta(0):
            problems.append(f"jitter={self.jitter!r}: give a timedelta that is not negative")
        if self.retry is not None:
            problems += (
                problems_of(self.retry.problems)
                if isinstance(self.retry, Retry)
                else [f"retry={shown(self.retry)}: give Retry(3)"]
            )
        if isinstance(self.alerts, Alerts):
            problems += problems_of(self.alerts.problems)
            arrivals = [getattr(step.source, "arrival", None) for step in self.predict_steps]
            if self.alerts.max_record_age is not None and not any(arrivals):
                problems.append("alerts: max_record_age= needs a Predict step whose source has an arrival= column")
        else:
            problems.append(f"alerts={shown(self.alerts)}: give Alerts(max_run_time=timedelta(minutes=20))")
        return problems

    def _table_problems(self) -> list[str]:
        tables: dict[TableName, list[str]] = {}
        for step in self.predict_steps:
            if step.into_table is not None:
                tables.setdefault(step.into_table, []).append(step.name)
        return [
            f"step {names[1]!r}: into= names the table of step {names[0]!r}, {table}: give each step a table of its own"
            for table, names in tables.items()
            if len(names) > 1
        ]

    def _graph_problems(self) -> list[str]:
        # Leave out names that are not texts: the step's own problems report them.
        steps = [step for step in self.steps if isinstance(step, Step) and isinstance(step.name, str)]
        names = [step.name for step in steps]
        problems = [f"two steps are named {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
        for step in steps:
            problems += [
                f"step {step.name!r}: after={unknown!r} names an unknown step; "
                + meant(unknown, [name for name in names if name != step.name], listed="the other steps are")
                for unknown in step.names_before
                if unknown not in names
            ]
            if (
                isinstance(step, TaskStep)
                and step.chooses
                and not any(step.name in other.names_before for other in steps)
            ):
                problems.append(
                    f"step {step.name!r} is a branch, but no step has after={[step.name]}: a branch needs a step to "
                    "choose"
                )
        for step in steps:
            problems += _problems_of_reads(step, steps) if isinstance(step, TaskStep) else []
        if waiting := cycle({step.name: step.names_before for step in steps}):
            problems.append(f"steps {', '.join(waiting)} wait for each other in a cycle: remove one after=")
        return problems

    def _concurrency_problems(self) -> list[str]:
        most = self.max_active_runs
        if not is_whole(most, least=1):
            return [f"max_active_runs={most!r}: give a whole number from 1"]
        if most == 1:
            return []
        return [
            f"step {step.name!r}: max_active_runs={most} needs ':window_start' and ':window_end' in its source's sql, "
            "or another source that reads both ends of the run's window: else runs at the same time read the same "
            "records"
            for step in self.predict_steps
            if isinstance(step.source, Source) and not step.source.is_bounded
        ]


def _problems_of_reads(step: TaskStep, steps: Sequence[Step]) -> list[str]:
    before = upstream({each.name: each.names_before for each in steps}, step.name)
    later = {each.name for each in steps} - before - {step.name}
    return [
        f"step {step.name!r}: its function reads run[{name!r}], "
        + (
            f"a step that it does not wait for: add {name!r} to after="
            if name in later
            else f"an unknown step; {meant(name, sorted(before), listed='the steps before it are')}"
        )
        for name in step.outputs_read
        if name not in before
    ]
