"""A table that does not fit fails the plan, with the SQL that corrects it; no record is predicted."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.run.runs import RunState
from tests.integration.flow_parts import RECORDS, Bench, length

#: What each table needs.
NEEDED = "label text, score float8, writer int, predicted_at timestamptz NOT NULL DEFAULT now()"
NO_DEFAULT = "label text, score float8, writer int, predicted_at timestamptz"
POLICIES = "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        (
            f"CREATE TABLE moods (id bigint, {NEEDED})",
            "id alone is no primary key of it: ALTER TABLE public.moods ADD PRIMARY KEY (id)",
        ),
        (
            f"CREATE TABLE moods (id bigint, part int, {NEEDED}, PRIMARY KEY (id, part))",
            "id alone is no primary key",
        ),
        (
            f"CREATE TABLE moods (id bigint PRIMARY KEY DEFERRABLE, {NEEDED})",
            "id alone is no primary key",
        ),
        (
            f"CREATE TABLE moods (key bigint PRIMARY KEY, {NEEDED})",
            "ALTER TABLE public.moods ADD COLUMN id bigint PRIMARY KEY",
        ),
        (
            f"CREATE TABLE moods (id int PRIMARY KEY, {NEEDED})",
            "ALTER TABLE public.moods ALTER COLUMN id TYPE bigint",
        ),
        (
            f"CREATE TABLE moods (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {NEEDED})",
            "its key id is generated",
        ),
        (
            "CREATE TABLE moods (id bigint PRIMARY KEY, label int)",
            "ADD COLUMN predicted_at timestamptz NOT NULL DEFAULT now(); its column label is of type integer, not text",
        ),
        (
            f"CREATE TABLE moods (id bigint PRIMARY KEY, {NO_DEFAULT})",
            "its column predicted_at has no default: ALTER TABLE public.moods ALTER COLUMN predicted_at SET DEFAULT",
        ),
        (
            f"CREATE TABLE moods (id bigint PRIMARY KEY, {NEEDED}, output text, owner text NOT NULL)",
            "its column output is of type text, not jsonb; its column owner is NOT NULL and has no default",
        ),
        ("CREATE VIEW moods AS SELECT 1 AS id", "it is a view: name a table"),
        (
            f"CREATE UNLOGGED TABLE moods (id bigint PRIMARY KEY, {NEEDED})",
            "a crash of the server would empty it: ALTER TABLE public.moods SET LOGGED",
        ),
        (
            f"CREATE TABLE moods (id bigint PRIMARY KEY, {NEEDED}); REVOKE ALL ON moods FROM batchord_author",
            "lacks rights: GRANT SELECT, INSERT, DELETE ON public.moods TO batchord_ledger; batchord_owner may not",
        ),
        (
            f"CREATE TABLE moods (id bigint PRIMARY KEY, {NEEDED}); ALTER TABLE moods ENABLE ROW LEVEL SECURITY",
            "its row-level security would hide rows from ",
        ),
    ],
    ids=[
        "no primary key", "wider key", "deferrable key", "no key", "narrow key", "generated key", "missing columns",
        "no default", "wrong column", "view", "unlogged", "rights", "row security",
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_fails_the_plan(bench: Bench, made: str, wrong: str) -> None:
    """With all that is wrong and the SQL that corrects it; no record is predicted or rejected."""
    bench.insert(2)
    bench.sql(made)
    bench.declare(into="moods")
    failed = bench.run()
    assert failed.state is RunState.FAILED
    assert failed.error is not None
    assert "cannot write its predictions into public.moods: " in failed.error
    assert wrong in failed.error
    assert bench.outcomes() == {}


@pytest.mark.parametrize(
    "made",
    [
        f"CREATE TABLE moods (id bigint, {NEEDED})",
        f"CREATE TABLE moods (key bigint, {NEEDED})",
        f"CREATE TABLE moods (id int PRIMARY KEY, {NEEDED})",
        "CREATE TABLE moods (id bigint PRIMARY KEY)",
        f"CREATE TABLE moods (id bigint PRIMARY KEY, {NO_DEFAULT})",
        f"CREATE UNLOGGED TABLE moods (id bigint PRIMARY KEY, {NEEDED})",
        f"CREATE TABLE moods (id bigint PRIMARY KEY, {NEEDED}); REVOKE ALL ON moods FROM batchord_author",
        f"CREATE TABLE moods (id bigint PRIMARY KEY, {NEEDED}); ALTER TABLE moods {POLICIES}",
    ],
    ids=["primary key", "key", "wider key", "columns", "default", "logged", "rights", "row security"],
)
def test_the_sql_of_the_error_makes_the_table_fit(bench: Bench, made: str) -> None:
    """Word for word."""
    bench.insert(2)
    bench.sql(made)
    bench.declare(into="moods")
    error = bench.run().error
    assert error is not None
    statements = re.findall(r"(?:ALTER TABLE|GRANT) .*?(?=; |\.$|, or |$)", error)
    assert statements
    for statement in statements:
        bench.sql(statement)
    assert bench.run().predicted == 2


def test_a_schema_that_the_owner_cannot_use_is_told_with_the_grants(bench: Bench) -> None:
    """And one that does not exist, with the SQL that makes it."""
    bench.insert(2)
    bench.declare(into="shop.moods")
    made = "CREATE SCHEMA shop; GRANT USAGE, CREATE ON SCHEMA shop TO batchord_owner"
    assert f"there is no schema shop: {made}." in str(bench.run().error)
    bench.sql("CREATE SCHEMA shop; REVOKE ALL ON SCHEMA shop FROM batchord_author")
    error = str(bench.run().error)
    grants = [
        "GRANT USAGE, CREATE ON SCHEMA shop TO batchord_owner",
        "GRANT USAGE ON SCHEMA shop TO batchord_ledger",
    ]
    for grant in grants:
        assert grant in error
        bench.sql(grant)
    assert bench.run().predicted == 2


def test_a_table_has_the_predictions_of_one_step(bench: Bench) -> None:
    """A second step that names it fails at its plan, also in another pipeline."""
    bench.insert(1)
    bench.declare(into="moods")
    assert bench.run().predicted == 1
    bench.catalog.pipelines["other"] = Pipeline(
        "other", steps=[Predict("predict", source=RECORDS, model=length, into="public.moods")]
    )
    failed = bench.run("other")
    assert failed.error is not None
    assert "it has the predictions of step score of items: name another table" in failed.error
    both = [Predict(name, source=RECORDS, model=length, into="public.moods") for name in ("a", "b")]
    (problem,) = Pipeline("twice", steps=both).problems()
    assert problem == "step 'b': into= names the table of step 'a', public.moods: give each step a table of its own"


def test_a_table_that_is_gone_fails_the_plan(bench: Bench) -> None:
    """It is not made anew: its predictions count."""
    bench.insert(1)
    bench.declare(into="moods")
    bench.run()
    bench.sql("ALTER TABLE moods RENAME TO feelings")
    bench.insert(1)
    failed = bench.run()
    assert failed.error is not None
    assert "was renamed or dropped (public.moods): give it its name back" in failed.error
    bench.sql("ALTER TABLE feelings RENAME TO moods")
    assert bench.run().predicted == 1
