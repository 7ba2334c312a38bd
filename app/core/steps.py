"""What an author declares as the nodes of a pipeline's graph.

Declarations never raise for what they hold: ``problems()`` lists what is wrong, and the catalog asks for it.
"""

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Literal

from app.core.limits import RejectionLimit
from app.core.models import FunctionModel, Model, as_names
from app.core.retries import NO_RETRY, Retry
from app.core.runs import StepKind
from app.core.sources import SqlSource

#: When a step runs, by what became of the steps in its ``after``. ``all_done_ok``: none failed and at least one ran.
#: ``always``: all are over, whatever became of them.
Join = Literal["all_done_ok", "always"]

#: Queue of Python, Sql, Bash and Branch steps that name no other.
STEPS_QUEUE = "steps"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_QUEUE = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_HOUR = timedelta(hours=1)


def is_name(value: object) -> bool:
    """Whether a pipeline or a step may be called so."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


@dataclass(frozen=True)
class Predict:
    """A step that predicts the records of ``source`` that have no prediction yet with ``model``."""

    kind: ClassVar[StepKind] = StepKind.PREDICT

    name: str
    _: KW_ONLY
    source: SqlSource
    #: A declaration from :mod:`app.core.models`, or a plain function ``frame -> Series or DataFrame``.
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
        if not isinstance(self.model, Model) and callable(self.model):
            object.__setattr__(self, "model", FunctionModel(self.model))

    @property
    def declared_model(self) -> Model:
        """The model as a declaration, whatever the author gave."""
        assert isinstance(self.model, Model)  # noqa: S101 -- __post_init__ and problems() see to it
        return self.model

    @property
    def source_digest(self) -> str:
        """Changes when the step may see other records than before: its frontier is void then."""
        return hashlib.sha256(repr(self.source).encode()).hexdigest()[:16]

    def problems(self) -> list[str]:
        """What is wrong with the step, one sentence each."""
        found = _common_problems(self)
        if isinstance(self.source, SqlSource):
            found += self.source.problems()
        else:
            found.append(f"source= is a {type(self.source).__name__}: give a SqlSource")
        if isinstance(self.model, Model):
            found += self.model.problems()
        else:
            found.append(f"model= is a {type(self.model).__name__}: give a model or a function of a DataFrame")
        if isinstance(self.rejection_limit, RejectionLimit):
            found += self.rejection_limit.problems()
        else:
            found.append(f"rejection_limit={self.rejection_limit!r}: give RejectionLimit(share=0.5, count=100)")
        for option in ("batch_rows", "shard_rows"):
            value = getattr(self, option)
            if value is not None and value < 1:
                found.append(f"{option}={value} must be at least 1")
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
        return _common_problems(self) + _function_problems(self.function)


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
        return _common_problems(self) + _function_problems(self.function)


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
        if not self.statements or not all(isinstance(each, str) and each.strip() for each in self.statements):
            found.append("sql= is empty: give a statement, or a list of statements")
        if self.url and self.url_env:
            found.append("both url= and url_env= are given: keep one")
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
    #: Added to the worker's own environment.
    env: Mapping[str, str] = field(default_factory=dict)
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

    def problems(self) -> list[str]:
        """What is wrong with the step, one sentence each."""
        found = _common_problems(self)
        if not isinstance(self.command, str) or not self.command.strip():
            found.append("command= is empty: give what bash is to run")
        elif "\0" in self.command:
            found.append("command= holds a NUL character, which no shell can read")
        if not isinstance(self.env, Mapping) or not all(
            isinstance(each, str) for each in [*self.env, *self.env.values()]
        ):
            found.append("env= must be a dict of texts")
        return found


#: The nodes that a worker executes as a whole, in contrast to Predict, which becomes shards.
Task = Python | Sql | Bash | Branch
Step = Predict | Task
#: For ``isinstance``.
STEP_TYPES = (Predict, Python, Sql, Bash, Branch)


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
        found.append(f"{step.name!r} is no step name: use lower-case letters, digits, '_' and '-'")
    if step.join not in ("all_done_ok", "always"):
        found.append(f"join={step.join!r} is unknown: use 'all_done_ok' or 'always'")
    if step.retry is not None:
        found += step.retry.problems() if isinstance(step.retry, Retry) else [f"retry={step.retry!r}: give Retry(3)"]
    if isinstance(step, Predict):
        return found
    limit = step.time_limit
    if limit is not None and (not isinstance(limit, timedelta) or limit < timedelta(seconds=1)):
        found.append(f"time_limit={limit!r}: give a timedelta of at least a second, or None")
    if not isinstance(step.queue, str) or not _QUEUE.fullmatch(step.queue):
        found.append(f"queue={step.queue!r} is no queue name: use lower-case letters, digits, '_' and '-'")
    return found


def _function_problems(function: object) -> list[str]:
    if not callable(function):
        return [f"{function!r} is no function: give a function of the run"]
    if inspect.iscoroutinefunction(function):
        return ["its function is a coroutine: give a plain function, which may call asyncio.run"]
    if not _can_be_called(function):
        return ["its function needs more than one argument: it is called with the run, or with nothing"]
    return []


def takes_run(function: Callable[..., Any]) -> bool:
    """Whether the function is to be called with the run: it needs one argument, or accepts it as its first."""
    parameters = _parameters(function)
    if parameters is None:
        return True
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each for each in positional if each.default is each.empty]
    variadic = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    return len(needed) == 1 or (not needed and (variadic or any(each.name == "run" for each in positional)))


def _can_be_called(function: Callable[..., Any]) -> bool:
    """With the run alone, or with nothing."""
    needed = [
        each
        for each in _parameters(function) or []
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    return not needed or (len(needed) == 1 and takes_run(function))


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some built-ins tell nothing of themselves
        return None
