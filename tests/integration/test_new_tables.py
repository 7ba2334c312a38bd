"""`batchord new --table` proposes a key and an arrival, and says what the table lacks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchord.core.errors import ConfigurationError
from batchord.core.run.runs import RunState
from tests.contracts import small_models
from tests.integration.drafts import Author, author

_SOUND = """
    CREATE TABLE reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title varchar(80), body text, stars int,
                          customer_id int, updated_at timestamptz NOT NULL DEFAULT now(),
                          created_at timestamptz NOT NULL DEFAULT now());
    CREATE INDEX ON reviews (created_at, id)
"""


@pytest.fixture
def person(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Author]:
    """See :func:`.drafts.author`."""
    with author(database_url, tmp_path, monkeypatch) as person:
        yield person


def remarks(told: dict[str, Any]) -> list[str]:
    """The texts of the remarks."""
    return [remark["text"] for remark in told["remarks"]]


def test_a_sound_table(person: Author) -> None:
    """The key and the arrival with their reasons; columns by type; nothing to remark on. It runs as it stands."""
    person.bench.sql(_SOUND)
    person.bench.sql("INSERT INTO reviews (title, body) VALUES ('Fine', 'A fine film.'), ('Nothing', NULL)")
    told = person.draft("reviews", "--table", "public.reviews")

    run = person.run("reviews")

    assert told["key"] == {"column": "id", "why": "primary key"}
    assert told["arrival"] == {"column": "created_at", "why": "timestamptz, not null, default now(), indexed"}
    assert (told["columns"], told["remarks"]) == (["body", "stars"], [])
    assert "SELECT id, created_at, body, stars\n    FROM public.reviews\n" in person.text("reviews")
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 1, 1)
    person.assert_formatted()


_AT = "created_at timestamptz NOT NULL DEFAULT now()"
#: What is created, what is inserted, the key and the arrival, and what is remarked on.
_TABLES = {
    "no index": (
        "CREATE TABLE t (id bigint PRIMARY KEY, n int, at timestamptz NOT NULL DEFAULT now())",
        "INSERT INTO t VALUES (1, 1)",
        ("id", "at"),
        ["No index begins with at"],
    ),
    "nullable": (
        """CREATE TABLE t (id bigint PRIMARY KEY, n int, created_at timestamptz DEFAULT CURRENT_TIMESTAMP);
        CREATE INDEX ON t (created_at)""",
        "INSERT INTO t VALUES (1, 1)",
        ("id", "created_at"),
        ["created_at may be NULL"],
    ),
    "identity alone": (
        "CREATE TABLE t (id bigserial PRIMARY KEY, n int, updated_at timestamptz NOT NULL DEFAULT now())",
        "INSERT INTO t (n) VALUES (1)",
        ("id", None),
        [],
    ),
    "without zone": (
        """CREATE TABLE t (id uuid PRIMARY KEY, n int, created_at timestamp NOT NULL DEFAULT now());
        CREATE INDEX ON t (created_at)""",
        "INSERT INTO t VALUES (gen_random_uuid(), 1)",
        ("id", "created_at"),
        ["timestamp without time zone"],
    ),
    "without zone, in UTC": (
        """CREATE TABLE t (id uuid PRIMARY KEY, n int,
                          created_at timestamp(3) NOT NULL DEFAULT (now() AT TIME ZONE 'utc'));
        CREATE INDEX ON t (created_at)""",
        "INSERT INTO t VALUES (gen_random_uuid(), 1)",
        ("id", "created_at"),
        [],
    ),
    "partitioned": (
        f"""CREATE TABLE t (id bigint PRIMARY KEY, n int, {_AT}) PARTITION BY HASH (id);
        CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)""",
        "INSERT INTO t VALUES (1, 1)",
        ("id", "created_at"),
        ["No index begins with created_at"],
    ),
    "no key": (
        f"CREATE TABLE t (id bigint, n int, {_AT}); CREATE INDEX ON t (created_at)",
        "INSERT INTO t VALUES (1, 1)",
        ("id", "created_at"),
        ["No unique index makes sure that id is unique", "id may be NULL"],
    ),
    "no order": (
        "CREATE TABLE t (code text PRIMARY KEY, n int)",
        "INSERT INTO t VALUES ('a', 1)",
        ("code", None),
        ["there is no frontier"],
    ),
    "rights": (
        """CREATE SCHEMA shop; CREATE TABLE shop.t (id bigserial PRIMARY KEY, n int);
        REVOKE ALL ON SCHEMA shop FROM batchord_source; REVOKE ALL ON shop.t FROM batchord_source""",
        "INSERT INTO shop.t (n) VALUES (1)",
        ("id", None),
        ["may not use the schema shop", "may not read shop.t"],
    ),
}


@pytest.mark.parametrize("case", _TABLES)
def test_each_remark_names_the_statement_that_mends_it(person: Author, case: str) -> None:
    """Once these statements are executed, the next draft has no remark, and it runs."""
    create, insert, (key, arrival), said = _TABLES[case]
    table = "shop.t" if case == "rights" else "t"
    person.bench.sql(create)

    first = person.draft("first", "--table", table)
    for remark in first["remarks"]:
        person.bench.sql(remark["statement"])
    mended = person.draft("second", "--table", table)
    person.bench.sql(insert)
    run = person.run("second")

    assert (first["key"]["column"], first["arrival"]["column"]) == (key, arrival)
    assert [text in remark for text, remark in zip(said, remarks(first), strict=True)] == [True] * len(said)
    # The column that gives a table its order needs an index in turn.
    assert all("No index begins with created_at" in remark for remark in remarks(mended))
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 1)
    person.assert_formatted()


@pytest.mark.parametrize(
    ("create", "key", "arrival", "said"),
    [
        ("CREATE TABLE t (id bigint PRIMARY KEY, sent_at timestamptz NOT NULL)", "id", "sent_at", "No default"),
        ("CREATE TABLE t (id bigint PRIMARY KEY, n int)", "id", None, "No sequence"),
        ("CREATE VIEW t AS SELECT id, created_at FROM records", "id", "created_at", "t is a view"),
        ("CREATE TABLE t (a int, b text, n int, PRIMARY KEY (a, b))", ["a", "b"], None, "there is no frontier"),
    ],
    ids=["clients set the time", "clients set the key", "view", "key of two columns"],
)
def test_what_no_statement_mends_is_said(person: Author, create: str, key: Any, arrival: str | None, said: str) -> None:
    """A frontier that needs ``settle=``, a view, and a key of two columns. The drafts run."""
    person.bench.sql(create)
    told = person.draft("t", "--table", "t")
    if "VIEW" in create:
        person.bench.insert(1)
    else:
        person.bench.sql(
            "INSERT INTO t SELECT" + (" 1, now()" if arrival else " 1, 'x', 3" if isinstance(key, list) else " 1, 1")
        )

    run = person.run("t")

    assert (told["key"]["column"], told["arrival"]["column"]) == (key, arrival)
    assert any(said in remark for remark in remarks(told))
    assert ("settle=timedelta" in person.text("t")) == (said in ("No default", "No sequence") or "VIEW" in create)
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 1)
    person.assert_formatted()


def test_the_author_chooses(person: Author) -> None:
    """``--key`` and ``--arrival`` come before any proposal, and a column that does not exist is refused."""
    person.bench.sql(_SOUND)

    told = person.draft("reviews", "--table", "reviews", "--key", "title", "--arrival", "updated_at")
    wrong = person.new("other", "--table", "reviews", "--key", "Id")

    assert told["key"] == {"column": "title", "why": "your choice, not known to be unique"}
    assert told["arrival"]["column"] == "updated_at"
    assert "sounds like a time that changes" in " ".join(remarks(told))
    assert "has no column 'Id'; its columns are: id, title" in str(wrong.exception)


def test_odd_names_are_quoted_in_sql_and_in_python(person: Author) -> None:
    """Words of SQL, capitals, quotes, backslashes, line ends and colons. The draft runs, and reads as its name says."""
    columns = ['the \\n "text" "', "line\nend = exit(1) #", ":window_start", "%s{x}", "Größe"]
    table = _quoted('Odd \'""" Table')
    types = ("text", "int", "int", "int", "int")
    declared = ", ".join(f"{_quoted(name)} {kind}" for name, kind in zip(columns, types, strict=True))
    person.bench.sql(f'CREATE TABLE {table} ("order" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {declared})')
    person.bench.sql(f"INSERT INTO {table} ({_quoted(columns[0])}) VALUES ('a')")  # noqa: S608 -- quoted above
    told = person.draft("odd", "--table", table)
    person.draft("features", "--table", table, "--kind", "sklearn")

    run = person.run("odd")

    assert told["key"]["column"] == "order"
    assert told["columns"] == columns
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 1)
    person.assert_formatted()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("kind", ["function", "sklearn", "text", "image", "xgboost", "lightgbm", "catboost", "onnx"])
def test_each_kind_gets_columns_by_type(person: Author, kind: str) -> None:
    """Numbers that are no ids for an estimator, prose for a text model, locations for one of pictures."""
    person.bench.sql(
        "CREATE TABLE t (id bigserial PRIMARY KEY, shop_id int, price numeric, photo_url text, body text, paid bool)"
    )
    columns = {"function": ["body", "price"], "text": ["body"], "image": ["photo_url"]}
    columns |= {"sklearn": ["price"], "onnx": ["price"]}

    told = person.draft("t", "--table", "t", "--kind", kind)

    assert told["columns"] == columns.get(kind, ["price", "photo_url", "body"])
    person.assert_formatted()


def test_a_file_of_another_library_predicts_the_rows(person: Author, tmp_path: Path) -> None:
    """The draft runs as it stands over a table that has the columns of the training, whatever else it has."""
    person.bench.sql("CREATE TABLE flats (id bigserial PRIMARY KEY, rooms int, area float8, town text)")
    person.bench.sql("INSERT INTO flats (rooms, area, town) VALUES (2, 4, 'Ulm'), (5, 9, NULL), (3, NULL, 'Kiel')")
    model = small_models.save_catboost_classifier(tmp_path / "flats.cbm")

    told = person.draft("flats", "--table", "flats", "--kind", "catboost", "--model", str(model))
    run = person.run("flats")

    assert told["place_for_model"] is None
    assert told["columns"] == ["rooms", "area", "town"]
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 3)
    person.assert_formatted()


@pytest.mark.parametrize(
    ("table", "arguments", "said"),
    [
        ("public.reveiws", (), "There is no table public.reveiws. Did you mean public.reviews?"),
        ("zebra", (), "There is no table zebra. The tables are: public.bare, public.records, public.reviews"),
        ("a.b.c", (), "'a.b.c' is not the name of a table"),
        ("bare", (), "nothing identifies a row. Name a column with --key; the columns are: x"),
        ("bare", ("--key", "x", "--kind", "text"), "public.bare has no column with texts"),
    ],
)
def test_a_table_that_cannot_be_used(person: Author, table: str, arguments: tuple[str, ...], said: str) -> None:
    """The error names the next step, and no file is written."""
    person.bench.sql(f"{_SOUND}; CREATE TABLE bare (x int)")

    result = person.new("reviews", "--table", table, *arguments)

    assert isinstance(result.exception, ConfigurationError)
    assert said in str(result.exception)
    assert not person.folder.exists()


def test_people_see_reasons_and_statements(person: Author) -> None:
    """What is proposed and why, what is missing, and the statement in a line of its own."""
    person.bench.sql("CREATE TABLE t (id bigint PRIMARY KEY, body text, created_at timestamptz DEFAULT now())")

    lines = person.new("t", "--table", "T").stdout.splitlines()

    assert "  key     id  primary key" in lines
    assert "  arrival created_at  timestamptz, default now()" in lines
    assert "    CREATE INDEX CONCURRENTLY ON public.t (created_at, id);" in lines
    assert lines[-2:] == ["  batchord try t", "  batchord run t --local"]
