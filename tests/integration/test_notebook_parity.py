"""A model gets the same input and gives the same output as in a notebook over the same rows.

The notebook reads them with ``pd.read_sql``, all at once, from a table in which each nullable column holds a NULL and a
value. Batchord reads them in batches of any size, some of which hold nothing but NULLs.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from batchord import Model, SklearnModel
from batchord.flow.predict.prepare import prepare
from batchord.models.estimators import LoadedEstimator, load_estimator
from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import open_source
from tests.contracts import small_models
from tests.unit.flow.predict.frames import no_images

ROWS = 42
BATCHES = (1, 7, ROWS)
#: Types, and the value of row number n.
TYPES = {
    "smallint": "n",
    "integer": "n * 1000",
    "bigint": "n * 1000000000::bigint",
    "oid": "n",
    "real": "n / 8.0",
    "double precision": "n / 7.0",
    "numeric": "n / 3.0",
    "numeric(10,2)": "n * 1.25",
    "boolean": "n % 2 = 0",
    "text": "'text ' || n % 5",
    "varchar(20)": "'word ' || n % 5",
    "char(8)": "'c' || n % 5",
    "mood": "(ARRAY['good', 'bad', 'fair'])[n % 3 + 1]::mood",
    "timestamptz": "timestamptz '2026-01-01 00:00+00' + n * interval '1 hour'",
    "timestamp": "timestamp '2026-01-01 00:00' + n * interval '1 microsecond'",
    "date": "date '2026-01-01' + n",
    "time": "time '10:00' + n * interval '1 minute'",
    "interval": "n * interval '1 hour'",
    "uuid": "lpad(n::text, 32, '0')::uuid",
    "jsonb": "jsonb_build_object('n', n)",
    "integer[]": "ARRAY[n, NULL]",
    "bytea": "int4send(n)",
    "inet": "inet '10.0.0.0' + n",
}
#: Which rows are NULL. Of a batch of seven each has a value, each is NULL, or some are.
PATTERNS = {"some": "n % 3 = 0", "first batches": "n <= 14", "last batches": "n > 14", "all but one": "n <> 20"}

CITY = ["city"]
NUMBERS = ["amount", "rating"]
FEATURES = [*CITY, *NUMBERS, "member"]


@pytest.fixture
def url(empty_database_url: str) -> Iterator[str]:
    """A database of this test alone."""
    yield empty_database_url
    dispose_engines()


def execute(url: str, *statements: str) -> None:
    """Executes and commits."""
    with psycopg.connect(url) as connection:
        for statement in ("SET TIME ZONE 'UTC'", *statements):
            connection.execute(statement.encode())


def in_notebook(url: str, sql: str) -> pd.DataFrame:
    """The rows as a data scientist reads them."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET TIME ZONE 'UTC'")
        return pd.read_sql(sa.text(sql.replace(":", "\\:")), connection, index_col="id")


def in_batches(url: str, sql: str, rows: int, **declared: Any) -> list[pd.DataFrame]:
    """The rows as Batchord reads them."""
    source = open_source(SqlSource(sql, key="id", **declared), default_url=url)
    (positions,) = source.keys(after=None, chunk_rows=ROWS)
    parts = list(source.rows(first=positions[0], last=positions[-1], chunk_rows=rows))
    assert [rejection for _, rejections in parts for rejection in rejections] == []
    return [frame for frame, _ in parts]


def as_notebook(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with an index as pandas would make it; ours holds the keys as they are."""
    return frame.set_axis(pd.Index(frame.index.tolist(), name="id"))


@pytest.mark.parametrize("nulls", PATTERNS)
def test_a_frame_is_the_notebooks_frame(url: str, nulls: str) -> None:
    """Types and values, column by column, in batches of any size, whatever is NULL in them."""
    columns = {f"c{number}": kind for number, kind in enumerate(TYPES)} | {
        f"f{number}": f"{kind} NOT NULL" for number, kind in enumerate(TYPES)
    }
    nullable = [f"CASE WHEN {PATTERNS[nulls]} THEN NULL ELSE {value} END" for value in TYPES.values()]
    execute(
        url,
        "CREATE TYPE mood AS ENUM ('good', 'bad', 'fair')",
        f"CREATE TABLE t (id int PRIMARY KEY, {', '.join(f'{name} {kind}' for name, kind in columns.items())})",
        f"INSERT INTO t SELECT n, {', '.join([*nullable, *TYPES.values()])} FROM generate_series(1, {ROWS}) AS n",  # noqa: S608
    )
    expected = in_notebook(url, "SELECT * FROM t ORDER BY id")
    for rows in BATCHES:
        frames = in_batches(url, "SELECT * FROM t", rows)
        assert [len(frame) for frame in frames] == [rows] * (ROWS // rows)
        for frame in frames:
            pd.testing.assert_frame_equal(as_notebook(frame), expected.loc[frame.index.tolist()])


@pytest.mark.parametrize(
    ("sql", "dtypes"),
    [
        ("SELECT a.id, a.n, b.m FROM a LEFT JOIN b ON b.id = a.id", {"n": "int64", "m": "float64"}),
        ("SELECT a.id, a.n, b.m FROM b RIGHT JOIN a ON b.id = a.id", {"n": "int64", "m": "float64"}),
        ("SELECT coalesce(a.id, b.id + 100) AS id, a.n, b.m FROM a FULL JOIN b USING (id)", {"n": "float64"}),
        ("SELECT a.id, a.n, b.m FROM a JOIN b ON b.id <= a.id AND b.id = 1", {"n": "int64", "m": "int64"}),
        ("SELECT * FROM both_of", {"n": "int64", "m": "float64"}),
        ("WITH c AS MATERIALIZED (SELECT * FROM a) SELECT * FROM c", {"n": "int64"}),
        ("SELECT * FROM a ORDER BY id LIMIT 10", {"n": "int64"}),
        ("SELECT DISTINCT ON (id) id, n FROM a ORDER BY id, n", {"n": "int64"}),
        ("SELECT n AS id, n, sum(n) AS m FROM a GROUP BY n", {"n": "int64", "m": "float64"}),
        ("SELECT coalesce(n, -1) AS id, n FROM a GROUP BY ROLLUP (n)", {"n": "float64"}),
        ("SELECT id, n FROM a UNION ALL SELECT id + 100, NULL FROM a", {"n": "float64"}),
        ("SELECT id, late FROM a", {"late": "float64"}),
        ("SELECT id, flag, maybe FROM a", {"flag": "bool", "maybe": "object"}),
    ],
)
def test_not_null_is_what_the_query_gives(url: str, sql: str, dtypes: dict[str, str]) -> None:
    """A table's NOT NULL counts only where no join, rollup or union takes it back."""
    execute(
        url,
        "CREATE TABLE a (id int PRIMARY KEY, n int NOT NULL, late int, flag bool NOT NULL, maybe bool)",
        "CREATE TABLE b (id int PRIMARY KEY, m int NOT NULL)",
        "CREATE VIEW both_of AS SELECT a.id, a.n, b.m FROM a LEFT JOIN b ON b.id = a.id",
        "INSERT INTO a SELECT n, n * 10, NULL, true, n < 5 FROM generate_series(1, 12) AS n",
        "ALTER TABLE a ADD CONSTRAINT filled NOT NULL late NOT VALID",
        "INSERT INTO b VALUES (1, 10), (20, 200)",
    )
    for rows in (1, 100):
        for frame in in_batches(url, sql, rows):
            assert {name: str(frame[name].dtype) for name in dtypes} == dtypes


def estimators() -> dict[str, tuple[Any, list[str]]]:
    """Estimators that can be stored, with the columns that they read."""

    def columns(*, category: Any, number: Any = "passthrough") -> Any:
        return make_column_transformer((category, CITY), (number, NUMBERS), remainder="drop")

    one_hot = OneHotEncoder(handle_unknown="ignore")
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    filled = make_pipeline(SimpleImputer(), StandardScaler())
    constant = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), one_hot)
    frequent = make_pipeline(SimpleImputer(strategy="most_frequent"), one_hot)
    logistic = LogisticRegression(max_iter=500)
    whole = [*CITY, *NUMBERS]
    return {
        "one-hot": (make_pipeline(columns(category=one_hot, number=filled), logistic), whole),
        "one-hot, strict": (make_pipeline(columns(category=OneHotEncoder(), number=filled), logistic), whole),
        "ordinal": (make_pipeline(columns(category=ordinal), RandomForestClassifier(5, random_state=0)), whole),
        "constant": (make_pipeline(columns(category=constant, number=filled), KNeighborsClassifier(3)), whole),
        "frequent": (make_pipeline(columns(category=frequent, number=filled), SVC()), whole),
        "margins": (make_pipeline(columns(category=one_hot, number=filled), LinearSVC()), whole),
        "boosted": (HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2), NUMBERS),
        "tree": (DecisionTreeClassifier(random_state=0), NUMBERS),
        "trees": (ExtraTreesClassifier(5, random_state=0), NUMBERS),
        "bayes": (make_pipeline(SimpleImputer(), GaussianNB()), NUMBERS),
        "members": (
            make_pipeline(
                make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["member", "city"])), logistic
            ),
            FEATURES,
        ),
        "regression": (make_pipeline(columns(category=one_hot, number=filled), Ridge()), whole),
        "boosted regression": (HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=2), NUMBERS),
        "forest": (RandomForestRegressor(5, random_state=0), NUMBERS),
        "clusters": (make_pipeline(SimpleImputer(), KMeans(3, random_state=0, n_init=1)), NUMBERS),
        "outliers": (make_pipeline(SimpleImputer(), IsolationForest(n_estimators=5, random_state=0)), NUMBERS),
    }


TRUSTED = [
    "numpy.dtype",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
    "sklearn.linear_model._stochastic_gradient.SGDClassifier",
]


def stored(estimator: Any, declared: Model, folder: Path) -> LoadedEstimator:
    """The estimator after its time in a file."""
    assert isinstance(declared, SklearnModel)
    small_models.save_estimator(folder / "m.skops", estimator)
    return load_estimator(declared, "test", folder / "m.skops", threads=1)


@pytest.mark.parametrize("nulls", ["some", "first batches"])
@pytest.mark.parametrize("name", estimators())
def test_an_estimator_says_what_it_says_in_the_notebook(sales: str, name: str, nulls: str, tmp_path: Path) -> None:
    """For all of its records at once, in batches of seven, and one by one."""
    sql = f"SELECT * FROM {nulls.split(maxsplit=1)[0]}_null"  # noqa: S608
    past = in_notebook(sales, sql + " ORDER BY id")
    estimator, features = estimators()[name]
    estimator.fit(past[features], past["minutes"] if "regress" in name or name == "forest" else past["late"])
    declared = SklearnModel("m.skops", features=features, trusted=TRUSTED)
    model = stored(estimator, declared, tmp_path)
    expected = estimator.predict(past[features])
    for rows in BATCHES:
        said = [
            model.predict(prepare(frame, declared, no_images(), arrival=None).frame)
            for frame in in_batches(sales, sql, rows)
        ]
        output = pd.concat(said)
        assert output.index.tolist() == past.index.tolist()
        if "label" in output:
            assert output["label"].tolist() == [str(label) for label in expected.tolist()]
        else:
            np.testing.assert_allclose(output["score"], expected, rtol=1e-12)
        if "label" in output and hasattr(estimator, "predict_proba"):
            np.testing.assert_allclose(output["score"], estimator.predict_proba(past[features]).max(axis=1), rtol=1e-9)


def test_an_estimator_of_texts_says_what_it_says_in_the_notebook(sales: str, tmp_path: Path) -> None:
    """A single text column is passed as a series, not as a frame."""
    past = in_notebook(sales, "SELECT id, note, late FROM some_null ORDER BY id")
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(past["note"], past["late"])
    declared = SklearnModel("m.skops", text="note", trusted=TRUSTED)
    model = stored(estimator, declared, tmp_path)
    for rows in BATCHES:
        output = pd.concat(
            model.predict(frame) for frame in in_batches(sales, "SELECT id, note, late FROM some_null", rows)
        )
        assert output["label"].tolist() == [str(label) for label in estimator.predict(past["note"])]


@pytest.fixture(scope="module")
def sales(create_database: Callable[[str | None], str]) -> Iterator[str]:
    """A database with a table for each pattern of NULLs, to learn from and to predict."""
    url = create_database(None)
    for nulls in ("some", "first batches"):
        where = PATTERNS[nulls]
        execute(
            url,
            f"""
            CREATE TABLE {nulls.split()[0]}_null AS SELECT n AS id,
                CASE WHEN {where} THEN NULL ELSE (ARRAY['Rome', 'Oslo', 'Lima'])[n % 3 + 1] END AS city,
                CASE WHEN {where} THEN NULL ELSE n * 7 % 40 END AS amount,
                CASE WHEN n % 5 = 0 THEN NULL ELSE (n * 3 % 11) / 4.0 END AS rating,
                CASE WHEN {where} THEN NULL ELSE n % 2 = 0 END AS member,
                'note ' || n % 4 AS note, n * 13 % 50 > 25 AS late, n * 1.5 AS minutes
            FROM generate_series(1, {ROWS}) AS n
            """,  # noqa: S608
        )
    yield url
    dispose_engines()
