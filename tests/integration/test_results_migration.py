"""The migration to tables of results: no row moves, and what people have built on the old table goes on."""

from collections.abc import Iterator

import psycopg
import pytest

from batchord.core.errors import ConfigurationError
from batchord.ledger.migrate import migrate

_FILL = """
    INSERT INTO batchord.predictions (pipeline, step, record_key, model_version, label, score, run_id, shard, attempt)
    SELECT 'items', 'score', n::text, 'v' || v, 'good', n, gen_random_uuid(), 0, v
    FROM generate_series(1, 3) AS n, generate_series(1, 2) AS v
"""


@pytest.fixture
def old(empty_database_url: str) -> Iterator[psycopg.Connection]:
    """A ledger of the release before, with predictions of three records by two versions of a model."""
    migrate(empty_database_url, "0023")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(_FILL)
        yield connection


def rows(connection: psycopg.Connection, query: str) -> list[tuple[object, ...]]:
    """The rows of a query."""
    return connection.execute(query.encode()).fetchall()


def test_rows_stay_where_they_are_and_the_views_show_them(old: psycopg.Connection, empty_database_url: str) -> None:
    """In the same files, under another name."""
    everything = "SELECT to_jsonb(p)::text FROM batchord.{} AS p ORDER BY 1"
    views = ("predictions", "current_predictions", "provenance")
    before = {view: rows(old, everything.format(view)) for view in views}
    file = rows(old, "SELECT pg_relation_filepath('batchord.predictions')")

    migrate(empty_database_url)

    assert {view: rows(old, everything.format(view)) for view in views} == before
    assert rows(old, "SELECT pg_relation_filepath('batchord.earlier_predictions')") == file
    assert rows(old, "SELECT count(*) FROM batchord.results") == [(0,)]
    old.execute("SELECT batchord.make_results('items', 'score', 'id', 'bigint')")
    old.execute("SELECT batchord.make_results('others', 'score', 'id', 'bigint')")
    assert rows(old, "SELECT pipeline, has_earlier FROM batchord.results ORDER BY 1") == [
        ("items", True),
        ("others", False),
    ]


def test_views_of_people_show_new_predictions_too(old: psycopg.Connection, empty_database_url: str) -> None:
    """Their owners, rights and options stay. So do rights on the table itself."""
    old.execute("CREATE VIEW public.mine WITH (security_barrier=true) AS SELECT record_key FROM batchord.predictions p")
    old.execute("CREATE VIEW public.mines AS SELECT count(*) AS n FROM public.mine")
    old.execute("CREATE VIEW public.served AS SELECT record_key FROM batchord.current_predictions")
    old.execute("GRANT SELECT ON public.mine, batchord.predictions TO batchord_source")
    old.execute("GRANT USAGE ON SCHEMA batchord TO batchord_source")
    right = "SELECT has_table_privilege('batchord_source', '{}', 'SELECT')"

    migrate(empty_database_url)
    old.execute("SELECT batchord.make_results('items', 'other', 'id', 'bigint')")
    old.execute("INSERT INTO batchord_results.items__other (id, writer) VALUES (9, 0)")

    assert rows(old, "SELECT n FROM public.mines") == [(7,)]
    assert rows(old, "SELECT count(*) FROM public.served") == [(4,)]
    assert rows(old, "SELECT reloptions FROM pg_class WHERE oid = 'public.mine'::regclass") == [
        (["security_barrier=true"],)
    ]
    for table in ("public.mine", "batchord.predictions", "batchord_results.items__other"):
        assert rows(old, right.format(table)) == [(True,)], table
    assert rows(old, "SELECT has_schema_privilege('batchord_source', 'batchord_results', 'USAGE')") == [(True,)]
    assert rows(old, right.format("batchord_results.items__other").replace("SELECT')", "INSERT')")) == [(False,)]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE MATERIALIZED VIEW mine AS SELECT count(*) FROM batchord.predictions", "rule _RETURN on"),
        (
            (
                "CREATE FUNCTION mine() RETURNS bigint LANGUAGE sql "
                "BEGIN ATOMIC SELECT count(*) FROM batchord.predictions; END"
            ),
            "function public.mine()",
        ),
    ],
    ids=["materialized view", "function"],
)
def test_what_needs_the_table_is_named(
    old: psycopg.Connection, empty_database_url: str, statement: str, named: str
) -> None:
    """It would go on to show the old rows alone. Nothing is changed."""
    old.execute("SET search_path = public")
    old.execute(statement.encode())

    with pytest.raises(ConfigurationError, match="this needs it as a table") as refused:
        migrate(empty_database_url)

    assert named in str(refused.value)
    assert rows(old, "SELECT version_num FROM batchord.schema_version") == [("0023",)]
    assert rows(old, "SELECT count(*) FROM batchord.predictions") == [(6,)]


def test_an_owner_who_may_not_make_the_schema_is_told_what_to_run(
    old: psycopg.Connection, empty_database_url: str
) -> None:
    """As on a managed server, where an administrator has made the schema batchord."""
    database = old.info.dbname
    old.execute(f"REVOKE CREATE ON DATABASE {database} FROM PUBLIC".encode())
    old.execute("ALTER SCHEMA batchord OWNER TO batchord_owner")
    for (name,) in rows(old, "SELECT tablename FROM pg_tables WHERE schemaname = 'batchord'"):
        old.execute(f"ALTER TABLE batchord.{name} OWNER TO batchord_owner".encode())
    for (name,) in rows(old, "SELECT viewname FROM pg_views WHERE schemaname = 'batchord'"):
        old.execute(f"ALTER VIEW batchord.{name} OWNER TO batchord_owner".encode())
    owner = f"{empty_database_url}?options=-c%20role%3Dbatchord_owner"

    with pytest.raises(ConfigurationError, match="CREATE SCHEMA batchord_results AUTHORIZATION batchord_owner"):
        migrate(owner)

    old.execute("CREATE SCHEMA batchord_results AUTHORIZATION batchord_owner")
    migrate(owner)
    assert rows(old, "SELECT count(*) FROM batchord.predictions") == [(6,)]
