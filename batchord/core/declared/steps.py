"""What an author declares as the nodes of a pipeline's graph.

Declarations never raise for what they hold: ``problems()`` lists what is wrong, and the catalog asks for it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Literal

from batchord.core.declared.checks import (
    address_problems,
    after_problems,
    command_problems,
    is_whole,
    problems_of,
    secrets_problems,
)
from batchord.core.declared.functions import function_problems
from batchord.core.declared.limits import RejectionLimit
from batchord.core.declared.models import Model, as_model
from batchord.core.declared.retries import NO_RETRY, Retry
from batchord.core.declared.sources import Source
from batchord.core.run.runs import StepKind
from batchord.core.text.names import as_names, is_name

#: When a step runs: ``all_done_ok``, none of the steps in its ``after`` failed and one ran; ``always``, all are over.
Join = Literal["all_done_ok", "always"]

#: Queue of Python, Sql, Bash and Branch steps that name no other.
STEPS_QUEUE = "steps"
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Predict:
    """A step that predicts the records of ``source`` that have no prediction yet with ``model``."""

    kind: ClassVar[StepKind] = StepKind.PREDICT

    name: str
    _: KW_ONLY
    source: Source
    #: A declaration from :mod:`batchord.core.declared.models`, or a plain function ``frame -> Series or DataFrame``.
    model: Model | Callable[[Any], Any]
    #: Names of the steps before it.
    after: Sequence[str] = ()
    join: Join = "all_done_ok"
    #: Of each of its shards, for errors of the model. None: the pipeline's.
    retry: Retry | None = None
    #: Records in one call of the model; None means the model's own choice.
    batch_rows: int | None = None
    #: Records in a full shard; None means the model's own choice.
    shard_rows: int | None = None
    #: How many rejections a run bears before it fails.
    rejection_limit: RejectionLimit = field(default_factory=RejectionLimit)

    def __post_init__(self) -> None:
        object.__setattr__(self, "after", as_names(self.after))
        object.__setattr__(self, "model", as_model(self.model))

    @property
    def declared_model(self) -> Model:
        """The model as a declaration, whatever the author gave."""
        assert isinstance(self.model, Model)  # noqa: S101 -- __post_init__ and problems() see to it
        return self.model

    @property
    def source_digest(self) -> str:
        """Changes when the step may see other records than before: its frontier is void then."""
        return self.source.digest

    @property
    def code(self) -> str:
        """Changes when the step may read other records, or predict them otherwise: its shards must not be mixed."""
        read = [self.source_digest, self.source.options_of_values]
        return hashlib.sha256(repr([read, self.declared_model.traits]).encode()).hexdigest()[:16]

    def problems(self) -> list[str]:
        """What is wrong with the step, one sentence each."""
        found = _common_problems(self)
        if isinstance(self.source, Source):
            found += problems_of(self.source.problems)
        else:
            found.append(f"source= is a {type(self.source).__name__}: give a source, such as a SqlSource")
        if isinstance(self.model, Model):
            found += problems_of(self.model.problems)
        else:
            found.append(f"model= is a {type(self.model).__name__}: give a model or a function of a DataFrame")
        if isinstance(self.rejection_limit, RejectionLimit):
            found += problems_of(self.rejection_limit.problems)
        else:
            found.append(f"rejection_limit={self.rejection_limit!r}: give RejectionLimit(share=0.5, count=100)")
        for option in ("batch_rows", "shard_rows"):
            value = getattr(self, option)
            if value is not None and not is_whole(value, least=1):
                found.append(f"{option}={value!r} must be at least 1, and a whole number")
        return found


@dataclass(frozen=True)
class Python:
    """A step that calls a plain function, with the run (:class:`app.RunContext`) if it takes an argument.

    What it returns, JSON-like and at most 64 KiB of it, is ``run["<name>"].value`` to later steps. It may be
    called again when its worker dies before the end was written down: make it bear that, or say
    ``idempotent=False``.
    """

    kind: ClassVar[StepKind] = StepKind.PYTHON

    name: str
    function: Callable[..., Any]
    _: KW_ONLY
    after: Sequence[str] = ()
    join: Join = "all_done_ok"
    retry: Retry | None = None
    time_limit: timedelta | None = _HOUR
    #: Whether it may run again when its worker died in the middle of it; else such a step has failed.
    idempotent: bool = True
    queue: str = STEPS_QUEUE

    def __post_init__(self) -> None:
        object.__setattr__(self, "after", as_names(self.after))

    def problems(self) -> list[str]:
        """What is wrong with the step, one sentence each."""
        return _common_problems(self) + function_problems(self.function)


@dataclass(frozen=True)
class Branch:
    """A step whose function returns the name, or names, of the steps right after it that are to run.

    The other steps right after it are skipped, unless a chosen one leads to them or their join is ``always``.
    """

    kind: ClassVar[StepKind] = StepKind.BRANCH

    name: str
    function: Callable[..., Any]
    _: KW_ONLY
    after: Sequence[str] = ()
    join: Join = "all_done_ok"
    retry: Retry | None = None
    time_limit: timedelta | None = timedelta(minutes=5)
    queue: str = STEPS_QUEUE

    #: A decision changes nothing: it may be made again.
    idempotent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "after", as_names(self.after))

    def problems(self) -> list[str]:
        """What is wrong with the step, one sentence each."""
        return _common_problems(self) + function_problems(self.function)


@dataclass(frozen=True)
class Sql:
    """A step that executes SQL statements in one transaction, on the ledger's database or another.

    ``:name`` in a statement is a bound parameter: one of ``params``, a parameter of the run, or ``run_id``,
    ``pipeline``, ``slot``, ``window_start``, ``window_end``. Up to 100 rows of the last statement are
    ``run["<name>"].value["rows"]`` to later steps; ``value["row_count"]`` is how many it returned or changed.

    On the ledger's database it happens exactly once: that it is done is written in the same transaction. On
    another database it may happen again when its worker dies right after its commit.
    """

    kind: ClassVar[StepKind] = StepKind.SQL

    name: str
    #: One statement, or several.
    sql: str | Sequence[str]
    _: KW_ONLY
    params: Mapping[str, Any] = field(default_factory=dict)
    #: SQLAlchemy URL of the database; None means the ledger's own. Prefer ``url_env``.
    url: str | None = field(default=None, repr=False)
    #: Environment variable that holds the URL, so that no password stands in a pipeline file.
    url_env: str | None = None
    after: Sequence[str] = ()
    join: Join = "all_done_ok"
    retry: Retry | None = None
    time_limit: timedelta | None = _HOUR
    queue: str = STEPS_QUEUE

    #: A transaction that was cut off left nothing behind.
    idempotent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "after", as_names(self.after))

    @property
    def statements(self) -> tuple[str, ...]:
        """The statements in their order."""
        return as_names(self.sql)

    def problems(self) -> list[str]:
        """What is wrong with the step, one sentence each."""
        found = _common_problems(self)
        found += [
            f"sql= holds a {type(each).__name__}: give a statement, or a list of statements"
            for each in self.statements
            if not isinstance(each, str)
        ]
        if not self.statements or any(isinstance(each, str) and not each.strip() for each in self.statements):
            found.append("sql= is empty: give a statement, or a list of statements")
        found += address_problems(self.url, self.url_env)
        if not isinstance(self.params, Mapping):
            found.append(f"params= is a {type(self.params).__name__}: give a dict of names and values")
        return found


@dataclass(frozen=True)
class Bash:
    """A step that runs a command with ``bash -c``, in a process group of its own.

    It has failed when its exit code is not 0. Its last line of output is ``run["<name>"].value["last_line"]``
    to later steps. It reads of the run in ``BATCHORD_RUN_ID``, ``BATCHORD_PIPELINE``, ``BATCHORD_STEP``,
    ``BATCHORD_ATTEMPT``, ``BATCHORD_SLOT``, ``BATCHORD_WINDOW_START`` and ``BATCHORD_WINDOW_END`` (ISO 8601, empty
    without one), ``BATCHORD_PARAMS`` (JSON), and in the JSON file that ``BATCHORD_OUTPUTS`` names.
    """

    kind: ClassVar[StepKind] = StepKind.BASH

    name: str
    command: str
    _: KW_ONLY
    #: Added to the worker's own environment, which comes without Batchord's own secrets.
    env: Mapping[str, str] = field(default_factory=dict)
    #: Variables with secrets of Batchord's that the command is given all the same, such as ``BATCHORD_AUTHOR_URL``.
    secrets: Sequence[str] = ()
    #: Where it starts; None means where the worker does.
    cwd: str | None = None
    after: Sequence[str] = ()
    join: Join = "all_done_ok"
    retry: Retry | None = None
    time_limit: timedelta | None = _HOUR
    #: Whether it may run again when its worker died in the middle of it; else such a step has failed.
    idempotent: bool = False
    queue: str = STEPS_QUEUE

    def __post_init__(self) -> None:
        object.__setattr__(self, "after", as_names(self.after))
        object.__setattr__(self, "secrets", as_names(self.secrets))

    def problems(self) -> list[str]:
        """What is wrong with the step, one sentence each."""
        found = command_problems(self.command, self.env, self.cwd) + secrets_problems(self.secrets)
        return _common_problems(self) + found


#: The nodes that a worker executes as a whole, in contrast to Predict, which becomes shards.
Task = Python | Sql | Bash | Branch
Step = Predict | Task
#: For ``isinstance``.
STEP_TYPES = (Predict, Python, Sql, Bash, Branch)


def names_before(step: Step) -> tuple[str, ...]:
    """The names in a step's ``after``, without what is no name; its ``problems()`` tell of that."""
    return tuple(each for each in step.after if isinstance(each, str))


def time_limit_seconds(step: Step) -> float | None:
    """How long an attempt at the step as a whole may take."""
    if isinstance(step, Predict) or step.time_limit is None:
        return None
    return step.time_limit.total_seconds()


def retry_of(step: Step, default: Retry | None) -> Retry:
    """The step's own, or its pipeline's, or none."""
    return step.retry or default or NO_RETRY


def _common_problems(step: Step) -> list[str]:
    found = []
    if not is_name(step.name):
        found.append(f"{step.name!r} cannot be a step name: use lower-case letters, digits, '_' and '-'")
    if step.join not in ("all_done_ok", "always"):
        found.append(f"join={step.join!r} is unknown: use 'all_done_ok' or 'always'")
    if step.retry is not None:
        wrong = [f"retry={step.retry!r}: give Retry(3)"]
        found += problems_of(step.retry.problems) if isinstance(step.retry, Retry) else wrong
    found += after_problems(step.after)
    if isinstance(step, Predict):
        return found
    limit = step.time_limit
    if limit is not None and (not isinstance(limit, timedelta) or limit < timedelta(seconds=1)):
        found.append(f"time_limit={limit!r}: give a timedelta of at least a second, or None")
    if not is_name(step.queue):
        found.append(f"queue={step.queue!r} cannot be a queue name: use lower-case letters, digits, '_' and '-'")
    if not isinstance(step.idempotent, bool):
        found.append(f"idempotent={step.idempotent!r}: give True or False")
    return found
