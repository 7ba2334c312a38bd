"""Records from a SQL query: what an author declares."""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from batchord.core.declared.checks import address_problems, is_whole
from batchord.core.declared.sources import (
    DECIDES_NOTHING,
    DECIDES_VALUES,
    DEFAULT_IN_DIGEST,
    Source,
    SourceContext,
)
from batchord.core.text.sql_text import code_of, lexis_of

if TYPE_CHECKING:
    from batchord.sources.sql.reader import SqlRecords

#: A parameter that stands for an end of the run's window, in the code of a query.
WINDOW = re.compile(r"(?<!:):(window_(?:start|end))\b")
_QUERY = re.compile(r"[\s(]*(select|with|table|values)\b", re.IGNORECASE)
_ONE_STATEMENT = re.compile(r"[^;]*[\s;]*")
#: What ``dtypes=`` may ask for. No "category", whose values would be those of a batch.
DTYPES = ("int64", "Int64", "float32", "float64", "bool", "boolean", "str", "object")


@dataclass(frozen=True)
class SqlSource(Source):
    """Records from a SQL query, on PostgreSQL or anything else that SQLAlchemy reaches.

    The query is used as a subquery: it may join and filter, but has no ORDER BY of its own.
    ``:window_start`` and ``:window_end`` may stand in its code as parameters; the run's window fills them.

    On PostgreSQL, positions must rise in the order in which they are taken: an identity or sequence with
    cache 1, ``now()`` or ``clock_timestamp()``. Where clients make them (their clocks, UUIDs, blocks of
    ids), and on any other database, give ``settle=``: the longest time between taking a position and
    the commit becoming visible. The frontier then stays that far behind.
    """

    sql: str
    _: KW_ONLY
    #: Types of columns in the model's frame, where they are to be others than the database's suggest: column -> one of
    #: :data:`DTYPES`.
    dtypes: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False, metadata=DECIDES_VALUES)
    #: How long one statement may take, and wait for a lock; None: as the settings say.
    statement_timeout: timedelta | None = field(default=None, repr=False, metadata=DECIDES_NOTHING)
    lock_timeout: timedelta | None = field(default=None, repr=False, metadata=DECIDES_NOTHING)
    #: Bytes of a record's values together; a larger record is rejected unread.
    max_bytes: int = field(default=50_000_000, repr=False, hash=False, metadata=DECIDES_NOTHING)
    #: SQLAlchemy URL of the records' database; None means the ledger's own. Prefer ``url_env``.
    url: str | None = field(default=None, metadata=DEFAULT_IN_DIGEST)
    #: Environment variable that holds the URL, so that no password stands in a pipeline file.
    url_env: str | None = field(default=None, metadata=DEFAULT_IN_DIGEST)

    def open(self, context: SourceContext) -> "SqlRecords":
        """See the base class."""
        from batchord.sources.sql.bounds import Limits
        from batchord.sources.sql.reader import open_source

        limits = Limits(statement=context.statement_seconds, lock=context.lock_seconds)
        return open_source(self, default_url=context.database_url, window=context.window, limits=limits)

    def within(self, limit: timedelta) -> Self:
        """See the base class."""
        return replace(self, statement_timeout=min(self.statement_timeout or limit, limit))

    @property
    def options_of_values(self) -> list[tuple[str, str]]:
        """See the base class. Types stand as earlier releases wrote them: shards that those planned go on."""
        others = [(name, text) for name, text in super().options_of_values if name != "dtypes"]
        return [*sorted(self.dtypes.items()), *others]

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each; empty when all is well."""
        found = []
        if not isinstance(self.sql, str):
            found.append(f"the source's sql is a {type(self.sql).__name__}: give a query as a text")
        else:
            found += self._problems_of_sql()
        found += super().problems()
        for name in ("statement_timeout", "lock_timeout"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, timedelta) or value <= timedelta(0)):
                found.append(f"{name}={value!r}: give a timedelta above zero, such as timedelta(minutes=5)")
        if not is_whole(self.max_bytes, least=1):
            found.append(f"max_bytes={self.max_bytes!r} must be at least 1, and a whole number")
        return found + self._problems_of_dtypes() + address_problems(self.url, self.url_env)

    def _problems_of_sql(self) -> list[str]:
        codes = self._codes()
        found = []
        if not any(_QUERY.match(code) for code in codes):
            found.append("the source's sql must be a query: it must begin with SELECT, WITH, VALUES or TABLE")
        if not any(_ONE_STATEMENT.fullmatch(code) for code in codes):
            found.append("the source's sql has a ';' inside: give one query only")
        return found

    def _codes(self) -> list[str]:
        """The query without texts and comments. Where nobody knows the database yet, in each way to quote."""
        if self.url_env is not None:
            return [code_of(self.sql, lexis_of(dialect)) for dialect in (None, "mysql", "sqlite")]
        return [code_of(self.sql, lexis_of(None if self.url is None else re.split(r"[:+]", self.url, maxsplit=1)[0]))]

    def _problems_of_dtypes(self) -> list[str]:
        if not isinstance(self.dtypes, Mapping):
            return [f"dtypes= is a {type(self.dtypes).__name__}: give a dict of columns and their types"]
        found = [
            f"dtypes= asks for {dtype!r} in column {name!r}: use one of {', '.join(DTYPES)}"
            for name, dtype in self.dtypes.items()
            if dtype not in DTYPES
        ]
        if self.key in self.dtypes:
            found.append(
                f"dtypes= names the key {self.key!r}, which is the frame's index: select the column again under "
                "another name (AS)"
            )
        return found

    @property
    def is_bounded(self) -> bool:
        """Whether the query reads both ends of the run's window."""
        if not isinstance(self.sql, str):  # of that its problems tell
            return True
        return any({"window_start", "window_end"} <= set(WINDOW.findall(code)) for code in self._codes())

    @property
    def uses_window(self) -> bool:
        """Whether the query reads the run's window."""
        return any(WINDOW.search(code) for code in self._codes())
