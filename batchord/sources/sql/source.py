"""The declaration of records from a SQL query."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from batchord.core.code.places import place_of_text
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

#: A parameter in a query's code for the start or the end of the run's window.
WINDOW = re.compile(r"(?<!:):(window_(?:start|end))\b")
_LIMIT = re.compile(r"\blimit\s+(?!all\b|null\b)|\bfetch\s+(first|next)\b", re.IGNORECASE)
_INNERMOST = re.compile(r"\([^()]*\)")
_QUERY = re.compile(r"[\s(]*(select|with|table|values)\b", re.IGNORECASE)
_ONE_STATEMENT = re.compile(r"[^;]*[\s;]*")
#: The types that ``dtypes=`` may ask for. "category" is not among them: its values would be those of a batch.
DTYPES = ("int64", "Int64", "float32", "float64", "bool", "boolean", "str", "object")


@dataclass(frozen=True)
class SqlSource(Source):
    """Records from a SQL query, on PostgreSQL or any other database that SQLAlchemy supports.

    Batchord uses the query as a subquery: it may join and filter, but has no ORDER BY of its own. Its code may have the
    parameters ``:window_start`` and ``:window_end``; the run's window fills them.

    On PostgreSQL, positions must rise in the order in which transactions take them: an identity or sequence with cache
    1, ``now()`` or ``clock_timestamp()``. If clients make the positions (their clocks, UUIDs, blocks of ids), and on
    any other database, give ``settle=``: the longest time from taking a position until its commit is visible. The
    frontier then stays that far behind.

    Args:
        sql: The query, without an ORDER BY of its own.
        key: The column that identifies a record: unique and never NULL. It is the index of the model's frame. A list
            of columns identifies it together: ``key=["store_id", "day"]``; then the index has a level for each.
        arrival: The column that orders records by their arrival. None: the key itself orders them.
        settle: The longest time from taking a position until its record is visible: the frontier stays that far
            behind. None: the open transactions decide, as PostgreSQL shows them.
        dtypes: Types of columns in the model's frame, if they differ from the database's: column -> one of
            :data:`DTYPES`.
        statement_timeout: How long one statement may take. None: as the settings say.
        lock_timeout: How long a statement may wait for a lock. None: as the settings say.
        max_bytes: The most bytes of a record's values together. A larger record is rejected without reading it.
        url: SQLAlchemy URL of the records' database; None means the ledger's own. Prefer ``url_env``.
        url_env: Environment variable that holds the URL, so that no password stands in a pipeline file.
    """

    sql: str
    _: KW_ONLY
    #: A list becomes a tuple, and a list of one column its name.
    key: str | Sequence[str]  # type: ignore[assignment]  # only this kind takes several; see key_columns
    dtypes: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False, metadata=DECIDES_VALUES)
    statement_timeout: timedelta | None = field(default=None, repr=False, metadata=DECIDES_NOTHING)
    lock_timeout: timedelta | None = field(default=None, repr=False, metadata=DECIDES_NOTHING)
    max_bytes: int = field(default=50_000_000, repr=False, hash=False, metadata=DECIDES_NOTHING)
    url: str | None = field(default=None, metadata=DEFAULT_IN_DIGEST)
    url_env: str | None = field(default=None, metadata=DEFAULT_IN_DIGEST)

    def __post_init__(self) -> None:
        """A list of columns becomes a tuple: a declaration can be hashed."""
        if isinstance(self.key, list | tuple):
            object.__setattr__(self, "key", self.key[0] if len(self.key) == 1 else tuple(self.key))

    def open(self, context: SourceContext) -> "SqlRecords":
        """See the base class."""
        from batchord.sources.sql.bounds import Limits
        from batchord.sources.sql.reader import open_source

        limits = Limits(statement=context.statement_seconds, lock=context.lock_seconds)
        return open_source(self, default_url=context.database_url, window=context.window, limits=limits)

    @property
    def written_at(self) -> str | None:
        """See the base class: where its author writes the query."""
        return place_of_text(self.sql, self.declared_in, self.code)

    def within(self, limit: timedelta) -> Self:
        """See the base class."""
        return replace(self, statement_timeout=min(self.statement_timeout or limit, limit))

    @property
    def options_of_values(self) -> list[tuple[str, str]]:
        """See the base class. Earlier releases wrote types in this form; their planned shards must still match."""
        others = [(name, text) for name, text in super().options_of_values if name != "dtypes"]
        return [*sorted(self.dtypes.items()), *others]

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each; empty if there are none."""
        problems = []
        if not isinstance(self.sql, str):
            problems.append(f"the source's sql is a {type(self.sql).__name__}: give a query as a text")
        else:
            problems += self._problems_of_sql()
        problems += super().problems()
        for name in ("statement_timeout", "lock_timeout"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, timedelta) or value <= timedelta(0)):
                problems.append(f"{name}={value!r}: give a timedelta above zero, such as timedelta(minutes=5)")
        if not is_whole(self.max_bytes, least=1):
            problems.append(f"max_bytes={self.max_bytes!r} must be at least 1, and a whole number")
        return problems + self._problems_of_dtypes() + address_problems(self.url, self.url_env)

    def _problems_of_sql(self) -> list[str]:
        codes = self._codes()
        problems = []
        if not any(_QUERY.match(code) for code in codes):
            problems.append("the source's sql must be a query: it must begin with SELECT, WITH, VALUES or TABLE")
        if not any(_ONE_STATEMENT.fullmatch(code) for code in codes):
            problems.append("the source's sql has a ';' inside: give one query only")
        return problems

    def _codes(self) -> list[str]:
        """The query without texts and comments. If the database is not known yet, once for each way to quote."""
        if self.url_env is not None or not isinstance(self.url, str | None):
            return [code_of(self.sql, lexis_of(dialect)) for dialect in (None, "mysql", "sqlite")]
        return [code_of(self.sql, lexis_of(None if self.url is None else re.split(r"[:+]", self.url, maxsplit=1)[0]))]

    def _problems_of_dtypes(self) -> list[str]:
        if not isinstance(self.dtypes, Mapping):
            return [f"dtypes= is a {type(self.dtypes).__name__}: give a dict of columns and their types"]
        problems = [
            f"dtypes= asks for {dtype!r} in column {name!r}: use one of {', '.join(DTYPES)}"
            for name, dtype in self.dtypes.items()
            if dtype not in DTYPES
        ]
        is_one = isinstance(self.key, str)
        problems += [
            f"dtypes= names the key {name!r}, which is {'' if is_one else 'a level of '}the frame's index: select the "
            "column again under another name (AS)"
            for name in (self.key_columns if isinstance(self.key, str | tuple) else ())
            if isinstance(name, str) and name in self.dtypes
        ]
        return problems

    def _problems_of_key(self) -> list[str]:
        if not isinstance(self.key, tuple) or not self.key:
            wrong = super()._problems_of_key()
            return [f"{each}, or a list of several" if "=" in each else each for each in wrong]
        if any(not isinstance(name, str) or not name for name in self.key):
            return [f"key={list(self.key)!r}: give the names of columns as texts"]
        twice = [name for name, times in Counter(self.key).items() if times > 1]
        return [f"key={list(self.key)!r} names {twice[0]!r} more than once"] if twice else []

    @property
    def is_bounded(self) -> bool:
        """Whether the query reads both ends of the run's window."""
        if not isinstance(self.sql, str):  # problems() reports this
            return True
        return any({"window_start", "window_end"} <= set(WINDOW.findall(code)) for code in self._codes())

    @property
    def has_limit(self) -> bool:
        """Whether the query as a whole, and not a part of it in parentheses, has a LIMIT."""
        return any(_LIMIT.search(_without_parentheses(code)) for code in self._codes())

    @property
    def uses_window(self) -> bool:
        """Whether the query reads the run's window."""
        return any(WINDOW.search(code) for code in self._codes())


def _without_parentheses(code: str) -> str:
    """The code without what stands in parentheses."""
    count = 1
    while count:
        code, count = _INNERMOST.subn(" ", code)
    return code
