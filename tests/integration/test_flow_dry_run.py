"""A dry run predicts a few records as a shard would, says what failed and where, and writes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from batchord import FunctionModel, Model, Pipeline, Python, every
from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.sources import Source, SourceContext
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError, ModelContractViolation
from batchord.flow.begin.dry_run import DryRun, dry_run
from batchord.reports.dry_runs import DryRunReport, report_of
from batchord.sources.listed import ListedReader, Record
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length

DATED = SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at")


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Twelve records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)
        yield bench


def tried(bench: Bench, **options: Any) -> DryRun:
    """The dry run of the declared pipeline."""
    return dry_run(bench.parts(), bench.catalog.get(ITEMS), **options)


def report(bench: Bench, **options: Any) -> DryRunReport:
    """What people see of it."""
    return report_of(tried(bench, **options))


def scores(report: DryRunReport) -> dict[str, float | None]:
    """The score of each predicted record, in the order in which they are shown."""
    return {each.key: each.score for each in report.predictions}


def raising_at_seven(frame: Any) -> Any:
    """Fails for the record with seven letters."""
    if (frame["body"].str.len() == 7).any():
        raise ValueError("seven is too much")
    return length(frame)


def broken(_: Any) -> Any:
    """Fails for every record."""
    raise ValueError("nothing helps")


def rows_of_the_ledger(bench: Bench) -> dict[str, int]:
    """How many rows each of the ledger's tables has."""
    tables = bench.column(
        "SELECT table_name::text FROM information_schema.tables "
        "WHERE table_schema = 'batchord' AND table_type = 'BASE TABLE'"
    )
    return {table: bench.value(f"SELECT count(*) FROM batchord.{table}") for table in tables}  # noqa: S608


def test_it_predicts_the_newest_as_a_run_does_and_writes_nothing(bench: Bench) -> None:
    """The newest records come first, each as the run predicts or rejects it; also after the run."""
    bench.sql("INSERT INTO records (body) VALUES (NULL)")
    bench.declare(source=DATED)
    before = rows_of_the_ledger(bench)

    found = report(bench, limit=4)

    assert rows_of_the_ledger(bench) == before
    assert found.chosen == "The newest 4 records, by created_at"
    assert (found.records, found.given, found.is_well) == (4, 4, True)
    assert list(scores(found)) == ["12", "11", "10"]
    outcomes = {**scores(found), **{each.key: each.reason for each in found.rejections}}
    bench.run()
    assert {key: bench.outcomes()[key] for key in outcomes} == outcomes
    assert report(bench, limit=4).as_json() | {"seconds": {}} == found.as_json() | {"seconds": {}}


def test_it_shows_the_columns_and_types_that_the_model_gets(bench: Bench) -> None:
    """Those of the whole source: a NULL that is not among the chosen records makes whole numbers floats."""
    seen: list[dict[str, str]] = []

    def model(frame: Any) -> Any:
        seen.append({name: str(dtype) for name, dtype in frame.dtypes.items()})
        return frame["stars"]

    bench.sql("ALTER TABLE records ADD COLUMN stars int")
    bench.sql("UPDATE records SET stars = id WHERE id > 1")
    bench.declare(FunctionModel(model, version="1"), source=SqlSource("SELECT id, body, stars FROM records", key="id"))

    found = report(bench, limit=2)

    assert found.columns == {"body": "str", "stars": "float64"} == seen[0]
    assert found.index == "id"
    assert found.examples == {"body": "x" * 12, "stars": "12.0"}


def test_one_record_is_chosen_by_its_key(bench: Bench) -> None:
    """Whether it is predicted already or not; a key that does not exist, or cannot, is named."""
    bench.declare(source=DATED)
    bench.run()

    assert scores(report(bench, key="5")) == {"5": 5.0}
    for key in ("99", "no number"):
        with pytest.raises(ConfigurationError, match=f"no record with the key '{key}'"):
            tried(bench, key=key)


def test_records_are_chosen_by_a_condition(bench: Bench) -> None:
    """On any column of the query, also with a comment, a percent sign and a colon in it."""
    bench.declare(source=DATED)

    found = report(bench, where="length(body) IN (3, 5) AND body LIKE '%x' AND ':a' <> 'b' -- these", limit=2)

    assert found.chosen == "The newest 2 records that meet the condition, by created_at"
    assert scores(found) == {"5": 5.0, "3": 3.0}
    assert report(bench, where="false").chosen == "No records that meet the condition"


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("boddy = 'x'", 'column "boddy" does not exist'),
        ("id = 1; DROP TABLE records", "is no SQL condition"),
        ("  ", "is no SQL condition"),
        ("id = 'x'", "invalid input syntax"),
        ("lo_creat(-1) > 0", "read-only"),
        ("id = = 1", "syntax error"),
        ("id = )", "is no SQL condition"),
        ("true) OR (true", "is no SQL condition"),
    ],
)
def test_a_condition_that_cannot_be_used_is_named(bench: Bench, where: str, reason: str) -> None:
    """With the database's own words, and without advice about the query, which is right."""
    bench.declare()

    with pytest.raises(ConfigurationError) as raised:
        tried(bench, where=where)

    assert repr(where) in str(raised.value)
    assert reason in str(raised.value)
    assert "Correct the source's sql" not in str(raised.value)


def test_a_model_that_raises_for_a_record_is_told_with_its_line_and_its_record(bench: Bench) -> None:
    """The record is rejected as in a shard; the others are predicted."""
    bench.declare(FunctionModel(raising_at_seven, version="1"))

    found = report(bench)

    assert found.failure is not None
    assert (found.failure.key, found.failure.error) == ("7", "ValueError: seven is too much")
    assert found.failure.columns == {"body": "str"}
    line = raising_at_seven.__code__.co_firstlineno + 3
    assert found.failure.place == f"tests/integration/{Path(__file__).name}:{line}"
    assert found.failure.traceback.splitlines()[1].startswith(f'  File "{__file__}", line {line}')
    assert [(each.key, each.reason, each.detail) for each in found.rejections] == [
        ("7", "model-error", "ValueError: seven is too much")
    ]
    assert len(found.predictions) == 9
    assert (found.error, found.is_well) == (None, False)
    (next_step,) = found.next_steps
    assert "`batchord try items --step score --key 7`" in next_step


def test_a_model_that_raises_for_all_records_ends_it(bench: Bench) -> None:
    """With the first record, and the error that a shard would have."""
    bench.declare(FunctionModel(broken, version="1"))

    found = report(bench, limit=3)

    assert found.failure is not None
    assert (found.failure.key, found.failure.error) == ("10", "ValueError: nothing helps")
    assert "The model raised for every record of a batch" in str(found.error)
    assert (found.predictions, found.given, found.is_well) == ([], 3, False)


def test_a_broken_contract_has_no_traceback(bench: Bench) -> None:
    """The error says what to return, and the frame is shown."""
    bench.declare(FunctionModel(lambda _: [1], version="1"))

    found = tried(bench)

    assert isinstance(found.error, ModelContractViolation)
    assert (found.failure, report_of(found).columns) == (None, {"body": "str"})


@dataclass(frozen=True, kw_only=True)
class Heavy(Model):
    """A model whose files cannot be read."""

    def own_version(self) -> str:
        """See the base class."""
        return "heavy@1"

    def load(self, *_: Any, **__: Any) -> Any:
        """See the base class."""
        return {}["weights"]


def test_a_model_that_cannot_be_loaded_is_told_with_the_authors_line(bench: Bench) -> None:
    """An author's kind may raise anything."""
    bench.declare(Heavy())

    found = report(bench)

    assert found.failure is not None
    assert found.failure.place == f"tests/integration/{Path(__file__).name}:{Heavy.load.__code__.co_firstlineno + 2}"
    assert (found.error, found.failure.key) == ("KeyError: 'weights'", None)
    assert found.is_told_by_traceback


def test_the_step_is_named_if_there_are_several(bench: Bench) -> None:
    """A pipeline without a Predict step has nothing to try."""
    two = [Predict(name, source=RECORDS, model=length) for name in ("first", "second")]
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, steps=two)

    assert report(bench, step="second").step == "second"
    for step, message in ((None, "several Predict steps: first, second"), ("third", "no Predict step 'third'")):
        with pytest.raises(ConfigurationError, match=message):
            tried(bench, step=step)
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, steps=[Python(STEP, lambda: None)])
    with pytest.raises(ConfigurationError, match="has no Predict step"):
        tried(bench)


def test_a_source_with_a_window_reads_that_of_a_run_by_hand(bench: Bench) -> None:
    """The ledger does not learn of the pipeline."""
    windowed = SqlSource("SELECT id, body FROM records WHERE created_at < :window_end", key="id")
    predict = Predict(STEP, source=windowed, model=length)
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, schedule=every(hours=1), steps=[predict])

    assert len(report(bench).predictions) == 10
    assert bench.value("SELECT count(*) FROM batchord.pipelines") == 0


def test_a_value_that_cannot_be_read_costs_its_record_alone(bench: Bench) -> None:
    """As in a shard."""
    bench.declare(source=SqlSource("SELECT id, body, 1 / (id - 11) AS share FROM records", key="id"))

    found = report(bench, limit=3)

    assert list(scores(found)) == ["12", "10"]
    assert [(each.key, each.reason) for each in found.rejections] == [("11", "unreadable-value")]


def test_several_rows_of_a_key_are_rejected(bench: Bench) -> None:
    """As in a shard, whichever of them was chosen."""
    bench.declare(source=SqlSource("SELECT id, body FROM records UNION ALL SELECT 12, 'y'", key="id"))

    found = report(bench, limit=3)

    assert [(each.key, each.reason) for each in found.rejections] == [("12", "duplicate-key")]
    assert "11" in scores(found)


@dataclass(frozen=True, kw_only=True)
class Numbers(Source):
    """Numbers that Python lists, up to one that cannot be read."""

    key: str = "number"
    most: int = 5
    unreadable: int | None = None

    def open(self, context: SourceContext) -> SourceReader:  # noqa: ARG002 -- the base class's
        """See the base class."""

        def records() -> Iterator[Record]:
            for number in range(1, self.most + 1):
                if number == self.unreadable:
                    raise ValueError(f"{number} cannot be read")
                yield Record(number, {"body": "x" * number})

        return ListedReader(records, key=self.key)


def test_a_source_of_an_authors_own_kind(bench: Bench) -> None:
    """It has the newest records and those of a key; it knows no conditions. Its own error is told with its line."""
    source = Numbers()
    bench.declare(source=source)

    assert scores(report(bench, limit=2)) == {"5": 5.0, "4": 4.0}
    assert scores(report(bench, key="3")) == {"3": 3.0}
    with pytest.raises(ConfigurationError, match="a Numbers, which knows no conditions"):
        tried(bench, where="number > 2")
    bench.declare(source=replace(source, unreadable=2))
    found = report(bench)
    assert found.failure is not None
    assert "ValueError: 2 cannot be read" in found.failure.traceback
    assert str(found.failure.place).startswith(f"tests/integration/{Path(__file__).name}:")
