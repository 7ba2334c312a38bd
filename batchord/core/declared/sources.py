"""What an author says about a source: which records there are, what identifies and what orders them."""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta

from batchord.core.declared.checks import address_problems, is_whole
from batchord.core.text.sql_text import code_of, lexis_of

#: A parameter that stands for an end of the run's window, in the code of a query.
WINDOW = re.compile(r"(?<!:):(window_(?:start|end))\b")
_QUERY = re.compile(r"[\s(]*(select|with|table|values)\b", re.IGNORECASE)
_ONE_STATEMENT = re.compile(r"[^;]*[\s;]*")
#: What ``dtypes=`` may ask for. No "category", whose values would be those of a batch.
DTYPES = ("int64", "Int64", "float32", "float64", "bool", "boolean", "str", "object")


@dataclass(frozen=True)
class SqlSource:
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
    #: Column that identifies a record: unique and not null.
    key: str
    #: Column that orders records by their arrival; None when the key itself does.
    arrival: str | None = None
    #: See above; None means the frontier follows the open transactions of a PostgreSQL server.
    settle: timedelta | None = None
    #: Types of columns in the model's frame, where they are to be others than the database's suggest: column -> one of
    #: :data:`DTYPES`. They say nothing about which records there are, so they are no part of the source's digest.
    dtypes: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    #: How long one statement may take, and wait for a lock; None: as the settings say. They say nothing about which
    #: records there are, so they are no part of the source's digest.
    statement_timeout: timedelta | None = field(default=None, repr=False)
    lock_timeout: timedelta | None = field(default=None, repr=False)
    #: Bytes of a record's values together; a larger record is rejected unread. Says nothing about which records there
    #: are, either.
    max_bytes: int = field(default=50_000_000, repr=False, hash=False)
    #: SQLAlchemy URL of the records' database; None means the ledger's own. Prefer ``url_env``.
    url: str | None = None
    #: Environment variable that holds the URL, so that no password stands in a pipeline file.
    url_env: str | None = None

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each; empty when all is well."""
        found = []
        if not isinstance(self.sql, str):
            found.append(f"the source's sql is a {type(self.sql).__name__}: give a query as a text")
        else:
            found += self._problems_of_sql()
        if not self.key:
            found.append("the source has no key: name the column that identifies a record")
        if self.settle is not None and not isinstance(self.settle, timedelta):
            found.append(f"settle={self.settle!r}: give a timedelta, or None")
        elif self.settle is not None and self.settle < timedelta(0):
            found.append("settle= is negative: give the longest time a record may take to become visible")
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
        return any({"window_start", "window_end"} <= set(WINDOW.findall(code)) for code in self._codes())

    @property
    def uses_window(self) -> bool:
        """Whether the query reads the run's window."""
        return any(WINDOW.search(code) for code in self._codes())
