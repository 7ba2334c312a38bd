"""SQL statements as a step."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from batchord.core.declared.checks import address_problems
from batchord.core.declared.step_context import StepContext
from batchord.core.declared.steps import TaskStep
from batchord.core.text.names import as_names


@dataclass(frozen=True)
class Sql(TaskStep):
    """A step that executes SQL statements in one transaction, on the ledger's database or another.

    ``:name`` in a statement is a bound parameter: one of ``params``, a parameter of the run, or ``run_id``,
    ``pipeline``, ``slot``, ``window_start``, ``window_end``. Up to 100 rows of the last statement are
    ``run["<name>"].value["rows"]`` to later steps; ``value["row_count"]`` is how many it returned or changed.

    On the ledger's database it happens exactly once: that it is done is written in the same transaction. On
    another database it may happen again when its worker dies right after its commit.
    """

    ends_in_time: ClassVar[bool] = True

    #: One statement, or several.
    sql: str | Sequence[str]
    _: KW_ONLY
    params: Mapping[str, Any] = field(default_factory=dict)
    #: SQLAlchemy URL of the database; None means the ledger's own. Prefer ``url_env``.
    url: str | None = field(default=None, repr=False)
    #: Environment variable that holds the URL, so that no password stands in a pipeline file.
    url_env: str | None = None
    #: A transaction that was cut off left nothing behind.
    idempotent: bool = field(init=False, repr=False, default=True)

    @property
    def statements(self) -> tuple[str, ...]:
        """The statements in their order."""
        return as_names(self.sql)

    def problems(self) -> list[str]:
        """See the base class."""
        found = super().problems()
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

    def execute(self, context: StepContext) -> dict[str, Any]:
        """See the base class. On the ledger's database the output is written down in the same transaction.

        Raises SqlFailed, OutOfTime, OutputRefused, LeaseLost, TransientError, and ConfigurationError for a parameter
        that has no value, a statement that ends the transaction, or an address that cannot be used. Nothing is
        committed then; only after a TransientError it may be, which the lease of the next attempt tells.
        """
        from batchord.steps.sql.runner import execute

        return execute(self, context)
