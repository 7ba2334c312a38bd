"""What every kind of source has: its digest, its problems, and what it need not say."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from datetime import timedelta
from typing import Any

import pytest

from batchord import Source, SqlSource
from batchord.core.declared.sources import DECIDES, DECIDES_NOTHING, DECIDES_VALUES, SourceContext


@dataclass(frozen=True)
class Files(Source):
    """A kind with a field of each sort."""

    folder: str
    _: KW_ONLY
    pattern: str = "*.csv"
    names: frozenset[str] = frozenset()
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    keep: Any = None
    encoding: str = field(default="utf-8", metadata=DECIDES_VALUES)
    buffer: int = field(default=8192, metadata=DECIDES_NOTHING)


FILES = Files("/data", key="name")
#: Another value than FILES has, for each field that decides which records there are.
OTHERS = {
    "folder": "/archive",
    "key": "id",
    "arrival": "at",
    "settle": timedelta(minutes=1),
    "pattern": "*.txt",
    "names": frozenset({"a"}),
    "columns": {"a": "b"},
    "keep": 1,
}


def test_every_option_counts_unless_it_says_otherwise() -> None:
    """An option that somebody adds, and says nothing of, decides which records there are."""
    counting = {each.name for each in fields(Files) if each.init and DECIDES not in each.metadata}
    assert counting == OTHERS.keys()
    digests = {replace(FILES, **{name: value}).digest for name, value in OTHERS.items()}
    assert len({FILES.digest, *digests}) == len(OTHERS) + 1


def test_an_option_at_its_default_leaves_the_digest_as_it_was() -> None:
    """An option that a release adds voids no frontier."""

    @dataclass(frozen=True)
    class Files(Source):
        folder: str

    before = Files("/data", key="name").digest

    @dataclass(frozen=True)
    class Files(Source):  # type: ignore[no-redef]  # the same kind, a release later
        folder: str
        _: KW_ONLY
        pattern: str = "*.csv"

    assert Files("/data", key="name").digest == before
    assert Files("/data", key="name", pattern="*").digest != before  # type: ignore[call-arg]


def test_what_decides_only_values_or_nothing_is_no_part_of_the_digest() -> None:
    """Values that are read otherwise make other work of the same records; a limit makes no difference."""
    other_values, other_limit = replace(FILES, encoding="latin-1"), replace(FILES, buffer=1)
    assert FILES.digest == other_values.digest == other_limit.digest
    assert FILES.options_of_values == other_limit.options_of_values == []
    assert other_values.options_of_values == [("encoding", "'latin-1'")]


def test_the_order_of_a_set_or_a_dict_makes_no_other_source() -> None:
    """A set's differs from process to process."""
    several = Files("/data", key="name", names=frozenset("abcdef"), columns={"a": "x", "b": "y"})
    again = Files("/data", key="name", names=frozenset("fedcba"), columns={"b": "y", "a": "x"})
    assert several.digest == again.digest


@pytest.mark.parametrize(
    ("source", "digest"),
    [
        (SqlSource("SELECT id, body FROM t", key="id"), "702e540500534d18"),
        (SqlSource("SELECT id, at FROM t WHERE a = 'it''s'\n", key="id", arrival="at"), "226530488df2ab8d"),
        (
            SqlSource(
                "SELECT id FROM t", key="id", settle=timedelta(minutes=5), url="sqlite:///x", dtypes={"a": "str"}
            ),
            "07251b4a77414084",
        ),
        (SqlSource("TABLE t", key="id", arrival="at", settle=timedelta(0), url_env="SHOP"), "17460578087327c5"),
    ],
)
def test_digests_of_queries_are_those_of_earlier_releases(source: SqlSource, digest: str) -> None:
    """Ledgers have them: another one voids the frontier, and all of the source is read again."""
    assert source.digest == digest
    assert replace(source, max_bytes=7, statement_timeout=timedelta(1), lock_timeout=timedelta(1)).digest == digest


def test_work_of_earlier_releases_goes_on() -> None:
    """The code of a step tells whether a shard was planned with the same: types stand in it as they always did."""
    query = SqlSource("SELECT id, body FROM t", key="id", dtypes={"b": "str", "a": "Int64"})
    assert query.options_of_values == [("a", "Int64"), ("b", "str")]
    assert replace(query, dtypes={}).options_of_values == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"key": ""}, "the source has no key: name the column that identifies a record"),
        ({"key": 7}, "key=7: give the name of a column as a text"),
        ({"arrival": ["at"]}, "arrival=['at']: give the name of a column as a text"),
        ({"settle": 60}, "settle=60: give a timedelta, or None"),
        ({"settle": timedelta(-1)}, "settle= is negative: give the longest time a record may take to become visible"),
    ],
)
def test_a_broken_option_is_named(options: dict[str, Any], problem: str) -> None:
    """Whatever the kind."""
    assert replace(FILES, **options).problems() == [problem]
    assert FILES.problems() == []


@pytest.mark.parametrize("value", [lambda: 1, object(), [print, lambda: 1]], ids=["function", "object", "list"])
def test_a_value_without_a_text_of_its_own_is_refused(value: Any) -> None:
    """Its digest would be another in each process, and every run would read everything."""
    (problem,) = replace(FILES, keep=value).problems()
    assert problem.startswith("keep= holds ")
    assert "another text in each process" in problem
    assert replace(FILES, keep="<lambda at 0x7f>").problems() == []


@pytest.mark.parametrize("use", [lambda source: source.open(SourceContext(database_url=""))])
def test_a_kind_that_cannot_be_opened_says_so(use: Callable[[Source], Any]) -> None:
    """By its name."""
    with pytest.raises(NotImplementedError, match=r"Files has no open\(\)"):
        use(FILES)


def test_a_kind_reads_no_window_unless_it_says_so() -> None:
    """One that does is taken to read both ends; a look with a limit is the same look."""
    assert (FILES.uses_window, FILES.is_bounded) == (False, False)
    assert FILES.within(timedelta(seconds=1)) == FILES


def test_a_look_at_a_query_keeps_the_shorter_limit() -> None:
    """Its own, or that of the look."""
    query = SqlSource("TABLE t", key="id")
    assert query.within(timedelta(seconds=10)).statement_timeout == timedelta(seconds=10)
    hasty = replace(query, statement_timeout=timedelta(seconds=1))
    assert hasty.within(timedelta(seconds=10)).statement_timeout == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("sql", "has_limit"),
    [
        ("SELECT id FROM t ORDER BY id LIMIT 5", True),
        ("select id from t\nlimit\n5;", True),
        ("SELECT id FROM t FETCH FIRST 5 ROWS ONLY", True),
        ("SELECT id FROM t LIMIT ALL", False),
        ("SELECT id, (SELECT b FROM u LIMIT 1) AS b FROM t", False),
        ("SELECT id FROM t JOIN LATERAL (SELECT (1) FROM u LIMIT (2)) v ON true", False),
        ("SELECT id, 'limit 5' AS \"limit 6\" FROM t -- limit 7", False),
    ],
)
def test_a_limit_of_the_whole_query_is_known(sql: str, *, has_limit: bool) -> None:
    """A part of the query may have one: it leaves out no record."""
    assert SqlSource(sql, key="id").has_limit is has_limit
