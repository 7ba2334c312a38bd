"""SQL statements as a step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from batchord.core.declared.checks import address_problems
from batchord.core.declared.step_context import CheckContext, StepContext
from batchord.core.declared.steps import TaskStep
from batchord.core.text.names import as_names
from batchord.core.text.sql_text import changes_tables


@dataclass(frozen=True)
class Sql(TaskStep):
    """A step that executes SQL statements in one transaction, on the ledger's database or another.

    ``:name`` in a statement is a bound parameter: one of ``params``, a parameter of the run, or ``run_id``,
    ``pipeline``, ``slot``, ``window_start``, ``window_end``. Later steps read up to 100 rows of the last statement as
    ``run["<name>"].value["rows"]``, and the number of rows that it returned or changed as ``value["row_count"]``.

    On the ledger's database the step's work is done exactly once: its end is written in the same transaction. On
    another database it may be done again if its worker dies right after the commit.

    Args:
        name: The name of the step, in lower case.
        sql: One statement, or several.
        after: The names of the steps right before it.
        join: When it runs. ``all_done_ok``: none of the steps before it failed, and one ran. ``always``: all of
            them are over.
        retry: The retry after errors of its own. None: that of the pipeline.
        time_limit: The longest time of an attempt. None: no limit.
        queue: The queue whose workers execute it.
        params: Values for the parameters of the statements.
        url: SQLAlchemy URL of the database; None means the ledger's own. Prefer ``url_env``.
        url_env: Environment variable that holds the URL, so that no password stands in a pipeline file.
    """

    ends_in_time: ClassVar[bool] = True
    uses_database: ClassVar[bool] = True

    sql: str | Sequence[str]
    _: KW_ONLY
    params: Mapping[str, Any] = field(default_factory=dict)
    url: str | None = field(default=None, repr=False)
    url_env: str | None = None
    #: A transaction that was cut off has changed nothing.
    idempotent: bool = field(init=False, repr=False, default=True)

    @property
    def statements(self) -> tuple[str, ...]:
        """The statements in their order."""
        return as_names(self.sql)

    def problems(self) -> list[str]:
        """See the base class."""
        problems = super().problems()
        problems += [
            f"sql= holds a {type(statement).__name__}: give a statement, or a list of statements"
            for statement in self.statements
            if not isinstance(statement, str)
        ]
        if not self.statements or any(isinstance(text, str) and not text.strip() for text in self.statements):
            problems.append("sql= is empty: give a statement, or a list of statements")
        problems += address_problems(self.url, self.url_env)
        if not isinstance(self.params, Mapping):
            problems.append(f"params= is a {type(self.params).__name__}: give a dict of names and values")
        return problems

    @property
    def may_change_tables(self) -> bool:
        """See the base class."""
        return any(changes_tables(statement) for statement in self.statements)

    def check(self, context: CheckContext) -> Iterable[str]:
        """See the base class. The database parses each statement and looks up its names."""
        from batchord.steps.sql.checking import check

        return check(self, context)

    def execute(self, context: StepContext) -> dict[str, Any]:
        """See the base class. On the ledger's database, the same transaction writes the output.

        Raises SqlFailed, OutOfTime, OutputRefused, LeaseLost, TransientError, and ConfigurationError for a parameter
        that has no value, a statement that ends the transaction, or an address that cannot be used. In all these cases
        nothing is committed, except perhaps after a TransientError. The next attempt's lease shows whether it was.
        """
        from batchord.steps.sql.runner import execute

        return execute(self, context)
