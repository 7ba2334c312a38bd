"""Declarations of steps, the nodes of a pipeline's graph.

A kind of step is a subclass of :class:`TaskStep` with a method ``execute()``. Batchord's kinds are in
:mod:`batchord.steps`; authors may add their own. Only :class:`Predict` becomes shards.

A declaration never raises because of the values in it. Instead ``problems()`` lists what is wrong, for the catalog.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from batchord.core.declared.checks import is_whole, kind_of, problems_of, shown
from batchord.core.declared.limits import RejectionLimit
from batchord.core.declared.models import Model, ModelFunction, as_model
from batchord.core.declared.output_columns import outputs_problems
from batchord.core.declared.retries import NO_RETRY, Retry
from batchord.core.declared.sources import Source
from batchord.core.declared.table_names import table_name, table_problems
from batchord.core.run.output_types import OutputColumn, output_type
from batchord.core.run.results import TableName
from batchord.core.run.runs import becomes_shards
from batchord.core.text.calls import NamesOptions
from batchord.core.text.names import as_names, is_name

if TYPE_CHECKING:
    from batchord.core.declared.step_context import CheckContext, StepContext

#: When a step runs: ``all_done_ok``, none of the steps in its ``after`` failed and one ran; ``always``, all are over.
Join = Literal["all_done_ok", "always"]

#: The queue of steps that a worker executes as a whole, unless they name another one.
STEPS_QUEUE = "steps"
#: How many seconds a step that ends by itself gets after its time limit, before its process is ended.
_GRACE_SECONDS = 30.0


@dataclass(frozen=True)
class Step(NamesOptions):
    """The base of all kinds of steps."""

    #: The name of the kind, in the ledger and for people. The default is the name of the class in lower case.
    kind: ClassVar[str]

    name: str
    _: KW_ONLY
    after: Sequence[str] = ()
    join: Join = "all_done_ok"
    retry: Retry | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kind" not in vars(cls):
            cls.kind = cls.__name__.lower()

    def __post_init__(self) -> None:
        object.__setattr__(self, "after", as_names(self.after))

    @property
    def names_before(self) -> tuple[str, ...]:
        """The names in ``after``, without values that are not texts, which ``problems()`` reports."""
        return tuple(each for each in self.after if isinstance(each, str))

    def problems(self) -> list[str]:
        """The problems of the step, one sentence each."""
        problems = []
        if not is_name(self.name):
            problems.append(f"{self.name!r} cannot be a step name: use lower-case letters, digits, '_' and '-'")
        if self.join not in ("all_done_ok", "always"):
            problems.append(f"join={self.join!r} is unknown: use 'all_done_ok' or 'always'")
        if self.retry is not None:
            wrong = [f"retry={shown(self.retry)}: give Retry(3)"]
            problems += problems_of(self.retry.problems) if isinstance(self.retry, Retry) else wrong
        return problems + _after_problems(self.after)


@dataclass(frozen=True)
class TaskStep(Step):
    """A step that one worker executes as a whole, in contrast to Predict, which becomes shards.

    A kind of step is a subclass. Its options are fields. It imports heavy libraries in :meth:`execute`.

    Args:
        name: The name of the step, in lower case.
        after: The names of the steps right before it.
        join: When it runs. ``all_done_ok``: none of the steps before it failed, and one ran. ``always``: all of
            them are over.
        retry: The retry after errors of its own. None: that of the pipeline.
        time_limit: The longest time of an attempt. None: no limit.
        idempotent: Whether it may run again after its worker died during the work. Otherwise the step has failed
            then.
        queue: The queue whose workers execute it.
    """

    #: Whether ``execute()`` itself ends at the time limit. Then its process is ended only if it does not.
    ends_in_time: ClassVar[bool] = False
    #: Whether it returns a :class:`.Choice`. Then there must be steps right after it.
    chooses: ClassVar[bool] = False
    #: Whether :meth:`check` asks the database, so that it needs an address.
    uses_database: ClassVar[bool] = False

    _: KW_ONLY
    time_limit: timedelta | None = timedelta(hours=1)
    idempotent: bool = True
    queue: str = STEPS_QUEUE

    @property
    def process_seconds(self) -> float | None:
        """Seconds after which the process of an attempt is ended from outside; None: never."""
        if self.time_limit is None:
            return None
        return self.time_limit.total_seconds() + (_GRACE_SECONDS if self.ends_in_time else 0)

    def problems(self) -> list[str]:
        """The problems of the step, one sentence each. A kind with options adds the problems of its options."""
        problems = super().problems()
        limit = self.time_limit
        if limit is not None and (not isinstance(limit, timedelta) or limit < timedelta(seconds=1)):
            problems.append(f"time_limit={limit!r}: give a timedelta of at least a second, or None")
        if not is_name(self.queue):
            problems.append(f"queue={self.queue!r} cannot be a queue name: use lower-case letters, digits, '_' and '-'")
        if not isinstance(self.idempotent, bool):
            problems.append(f"idempotent={self.idempotent!r}: give True or False")
        if type(self).execute is TaskStep.execute:
            problems.append(
                f"the kind {type(self).__name__} does nothing: give the class a method execute(self, context)"
            )
        if not is_name(self.kind) or becomes_shards(self.kind):
            problems.append(
                f"{type(self).__name__} cannot be a kind of step named {self.kind!r}: give the class "
                "kind: ClassVar[str] = 'copy', of lower-case letters, digits, '_' and '-', and not 'predict'"
            )
        return problems

    @property
    def outputs_read(self) -> tuple[str, ...]:
        """The names of the steps whose outputs each of its attempts reads, as far as the declaration shows."""
        return ()

    @property
    def may_change_tables(self) -> bool:
        """Whether later steps may find other tables than before. Nobody knows what a function or a command does."""
        return True

    def check(self, context: "CheckContext") -> Iterable[str]:  # noqa: ARG002 -- for kinds that can check something
        """The problems that only a server shows, found without any work of the step.

        Raises ConfigurationError and TransientError.
        """
        return ()

    def execute(self, context: "StepContext") -> Any:
        """Does the step's work once. Returns a value for later steps (JSON-like, at most 64 KiB), or a ``Choice``.

        The attempt's log has what it logs and prints. It may be called again after an error, as ``retry`` says, and
        after its worker died, if it is ``idempotent``.

        Raises StepError, or any other exception, if the step failed; FinalStepError if another attempt cannot help;
        TransientError if a server is away, which ``retry`` does not count; LeaseLost if ``context.stop`` is set.
        """
        raise NotImplementedError(f"{type(self).__name__} has no execute()")


@dataclass(frozen=True)
class Predict(Step):
    """A step that predicts the records of ``source`` that have no prediction yet with ``model``.

    Args:
        name: The name of the step, in lower case.
        after: The names of the steps right before it.
        join: When it runs. ``all_done_ok``: none of the steps before it failed, and one ran. ``always``: all of
            them are over.
        retry: The retry after errors of the model, for each shard. None: that of the pipeline.
        source: Where the records come from.
        model: What predicts: a declaration of a model, or a plain function of a DataFrame.
        into: The table for the predictions, such as ``public.moods``, in the ledger's database. It is made if it does
            not exist. None: a table in the schema ``batchord_results``.
        outputs: Keys of the model's output that get a column of their own in that table, and their types in SQL, such
            as ``{"items": "jsonb", "embedding": "real[]"}``. All other keys are in the column ``output``.
        batch_rows: Records in one call of the model; None means the model's own choice.
        shard_rows: Records in a full shard; None means the model's own choice.
        rejection_limit: How many rejections the step may have in a run before it fails.
    """

    _: KW_ONLY
    source: Source
    model: Model | ModelFunction
    into: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    batch_rows: int | None = None
    shard_rows: int | None = None
    rejection_limit: RejectionLimit = field(default_factory=RejectionLimit)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "model", as_model(self.model))

    @property
    def declared_model(self) -> Model:
        """The model as a declaration, whatever the author gave."""
        assert isinstance(self.model, Model)  # noqa: S101 -- __post_init__ and problems() see to it
        return self.model

    @property
    def into_table(self) -> TableName | None:
        """The table that ``into`` names; None if it names none."""
        return None if self.into is None else table_name(self.into)

    @property
    def output_columns(self) -> tuple[OutputColumn, ...]:
        """The columns that ``outputs`` declares, without those that ``problems()`` reports."""
        if not isinstance(self.outputs, Mapping):
            return ()
        types = {name: output_type(written) for name, written in self.outputs.items() if isinstance(written, str)}
        return tuple(OutputColumn(name=name, type=kind) for name, kind in types.items() if kind is not None)

    @property
    def source_digest(self) -> str:
        """Changes when the step may see other records than before. Then its frontier is void."""
        return self.source.digest

    @property
    def code(self) -> str:
        """Changes when the step may read other records or predict them in another way. No run mixes both."""
        read = [self.source_digest, self.source.options_of_values]
        return hashlib.sha256(repr([read, self.declared_model.traits]).encode()).hexdigest()[:16]

    def problems(self) -> list[str]:
        """The problems of the step, one sentence each."""
        problems = super().problems()
        if isinstance(self.source, Source):
            problems += problems_of(self.source.problems)
        else:
            problems.append(f"source= is {kind_of(self.source)}: give a source, such as a SqlSource")
        if isinstance(self.model, Model):
            problems += problems_of(self.model.problems)
        else:
            problems.append(
                f"model= is {kind_of(self.model)}: give a model, or a function of a DataFrame by its name, without "
                "parentheses"
            )
        if self.into is not None:
            problems += table_problems("into", self.into)
        problems += outputs_problems(self.outputs, key=getattr(self.source, "key", None))
        if isinstance(self.rejection_limit, RejectionLimit):
            problems += problems_of(self.rejection_limit.problems)
        else:
            problems.append(f"rejection_limit={shown(self.rejection_limit)}: give RejectionLimit(share=0.5, count=100)")
        for option in ("batch_rows", "shard_rows"):
            value = getattr(self, option)
            if value is not None and not is_whole(value, least=1):
                problems.append(f"{option}={value!r} must be at least 1, and a whole number")
        return problems


def retry_of(step: Step, default: Retry | None) -> Retry:
    """The step's own Retry, or else the pipeline's, or else no retry."""
    return step.retry or default or NO_RETRY


def _after_problems(after: Iterable[object]) -> list[str]:
    # Show only types and names: for a step or a function, Python would show an address in memory.
    problems: list[str] = []
    for each in after:
        if isinstance(each, Step):
            problems.append(f"after= holds a step itself: give its name: after=[{each.name!r}]")
        elif not isinstance(each, str):
            problems.append(f"after= holds {kind_of(each)}: give names of steps: after=['prepare']")
    return problems
