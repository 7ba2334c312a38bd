"""Keys of a model's output have columns of their own, with a type, in the table of the step's predictions."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchord.core.run.runs import RunState
from batchord.flow.begin.dry_run import dry_run
from batchord.flow.upkeep.audit import audit
from batchord.reports.dry_runs import report_of
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, STEP, Bench
from tests.integration.move_parts import version

if TYPE_CHECKING:
    import pandas as pd

OUTPUTS = {"items": "jsonb", "embedding": "real[]", "eta": "timestamptz"}
ETA = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def insert(bench: Bench, count: int) -> None:
    """Records whose bodies are as long as their numbers."""
    bench.sql("INSERT INTO records (body) SELECT 'x' FROM generate_series(1, %s)", count)
    bench.sql("UPDATE records SET body = repeat('x', id::int)")


def answers(frame: "pd.DataFrame") -> "pd.DataFrame":
    """A label, three keys that may have columns, and one that has none."""
    import numpy as np
    import pandas as pd

    lengths = frame["body"].str.len()
    return pd.DataFrame(
        {
            "label": ["long" if each > 2 else "short" for each in lengths],
            "items": [[{"id": int(each), "rank": 1}] for each in lengths],
            "embedding": [np.array([0.1, each, 1e-60]) for each in lengths],
            "eta": [ETA + timedelta(seconds=int(each)) for each in lengths],
            "note": [f"of {each}" for each in lengths],
        },
        index=frame.index,
    )


WHOLE = {"items": [{"id": 1, "rank": 1}], "note": "of 1"}


def test_keys_get_columns_with_their_types(bench: Bench) -> None:
    """The rest stays in ``output``; the views show all of it."""
    insert(bench, 2)
    bench.declare(answers, outputs=OUTPUTS)
    assert bench.run().predicted == 2
    rows = bench.sql("SELECT items, embedding, eta, output FROM batchord_results.items__score ORDER BY id LIMIT 1")
    assert rows == [([{"id": 1, "rank": 1}], [0.1, 1.0, 0.0], ETA + timedelta(seconds=1), {"note": "of 1"})]
    for view in ("predictions", "current_predictions"):
        (whole,) = bench.column(f"SELECT output FROM batchord.{view} ORDER BY record_key LIMIT 1")  # noqa: S608 -- as above
        eta = whole.pop("eta")
        assert datetime.fromisoformat(eta) == ETA + timedelta(seconds=1)
        assert whole == {**WHOLE, "embedding": [0.1, 1, 0]}
    types = bench.sql("SELECT key, value FROM batchord.results, jsonb_each_text(outputs) ORDER BY key")
    assert types == [("embedding", "real[]"), ("eta", "timestamp with time zone"), ("items", "jsonb")]


def test_a_change_predicts_nothing_again(bench: Bench) -> None:
    """Rows of before keep what they have in ``output``, and rows after the end of a column, too."""
    insert(bench, 1)
    bench.declare(answers)
    assert bench.run().predicted == 1
    for count, outputs in ((1, {"items": "jsonb"}), (1, {"items": "jsonb", "note": "text"}), (1, {})):
        insert(bench, count)
        bench.declare(answers, outputs=outputs)
        bench.sql("DELETE FROM batchord.frontiers")
        assert bench.run().discovered == 1
    rows = bench.sql(
        "SELECT id, items IS NULL, note, output ->> 'note', output ? 'items' FROM batchord_results.items__score "
        "ORDER BY id"
    )
    assert rows == [
        (1, True, None, "of 1", True),
        (2, False, None, "of 2", False),
        (3, False, "of 3", None, False),
        (4, True, None, "of 4", True),
    ]
    whole = bench.sql(
        "SELECT record_key, output ->> 'note', output -> 'items' -> 0 -> 'id' FROM batchord.current_predictions "
        "ORDER BY record_key"
    )
    assert whole == [(str(n), f"of {n}", n) for n in (1, 2, 3, 4)]
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.records, found.predicted, found.duplicated) == (4, 4, 0)


def test_a_change_of_the_type_fails_the_plan_until_the_table_is_empty(bench: Bench) -> None:
    """Nothing is predicted meanwhile. A narrower type needs no change."""
    insert(bench, 1)
    bench.declare(answers, outputs={"embedding": "double precision[]"})
    assert bench.run().predicted == 1
    insert(bench, 1)
    bench.declare(answers, outputs={"embedding": "real[]"})
    assert bench.run().predicted == 1
    insert(bench, 1)
    bench.declare(answers, outputs={"embedding": "text"})
    ended = bench.run()
    assert ended.state is RunState.FAILED
    error = bench.value("SELECT error FROM batchord.steps ORDER BY run_id DESC LIMIT 1")
    assert "its column embedding holds values of type double precision[], not text" in error
    bench.ledger.resets.reset(ITEMS, [STEP])
    bench.declare(answers, outputs={"embedding": "real[]", "note": "varchar(9)"})
    assert bench.run().predicted == 3
    bench.ledger.resets.reset(ITEMS, [STEP])
    bench.declare(answers, outputs={"embedding": "numeric[]", "note": "text"})
    assert bench.run().predicted == 3
    assert bench.column("SELECT embedding[1] FROM batchord_results.items__score") == [Decimal("0.1")] * 3


def test_a_worker_with_newer_code_adds_the_columns(bench: Bench) -> None:
    """The plan was made before; a worker with older code writes into ``output``."""
    insert(bench, 4)
    bench.declare(answers, shard_rows=2)
    run_id, messages = bench.planned()
    bench.declare(answers, shard_rows=2, outputs={"note": "text"})
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    assert bench.column("SELECT note FROM batchord_results.items__score ORDER BY id") == [
        "of 1",
        "of 2",
        "of 3",
        "of 4",
    ]
    bench.assert_exactly_once()


def odd(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Each record has a value that does not fit, in another way, but the last."""
    import pandas as pd

    odd: dict[str, list[Any]] = {
        "whole": [2**31, 1, 1, 1, 1, 1, 1],
        "many": [[1.0], [1.0, float("nan")], [1.0], [1.0], [1.0], [1.0], [1.0]],
        "short": ["ab", "ab", "abc", "ab", "ab", "ab", "a"],
        "at": [ETA, ETA, ETA, ETA.replace(tzinfo=None), ETA, ETA, ETA],
        "large": [1.0, 1.0, 1.0, 1.0, float("inf"), 1.0, 1.0],
        "price": [1, 1, 1, 1, 1, Decimal(1000), Decimal("999.99")],
    }
    return pd.DataFrame(
        {"score": 1.0, **{name: pd.Series(values, frame.index, object) for name, values in odd.items()}}
    )


ODD = {
    "whole": "int",
    "many": "real[]",
    "short": "varchar(2)",
    "at": "timestamptz",
    "large": "real",
    "price": "numeric(5, 2)",
}


def test_a_value_that_does_not_fit_rejects_its_record_alone(bench: Bench) -> None:
    """``batchord try`` shows the same before anything is written."""
    insert(bench, 7)
    bench.declare(odd, outputs=ODD)
    tried = report_of(dry_run(bench.parts(), bench.catalog.get(ITEMS)))
    assert [each.reason for each in tried.rejections] == ["unfitting-output"] * 6
    assert [each.output for each in tried.predictions] == [
        {"whole": 1, "many": [1.0], "short": "a", "at": ETA.isoformat(), "large": 1.0, "price": "999.99"}
    ]
    assert bench.run().state is RunState.SUCCEEDED
    details = dict(bench.sql("SELECT record_key, detail FROM batchord.rejections WHERE reason = 'unfitting-output'"))
    assert details == {each.key: each.detail for each in tried.rejections}
    assert "column whole (integer): 2147483648 is beyond the range of integer" in details["1"]
    assert bench.column("SELECT price FROM batchord_results.items__score") == [Decimal("999.99")]


def test_a_missing_key_is_null_and_try_names_it(bench: Bench) -> None:
    """A declared key that the model never returns is most likely misspelt."""
    insert(bench, 1)
    bench.declare(answers, outputs={"itmes": "jsonb"})
    assert bench.run().predicted == 1
    assert bench.column("SELECT itmes FROM batchord_results.items__score") == [None]
    (warning,) = dry_run(bench.parts(), bench.catalog.get(ITEMS)).warnings
    assert "The model returned no itmes" in warning


def cut(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Texts of which the model has read a part, as a transformer says it."""
    import pandas as pd

    return pd.DataFrame({"label": "x", "truncated": frame["body"].str.len() > 1}, index=frame.index)


def test_a_summary_counts_what_has_a_column(bench: Bench) -> None:
    """The key by which models say that they have read a part of a text."""
    insert(bench, 3)
    bench.declare(cut, outputs={"truncated": "boolean"})
    assert bench.run().state is RunState.SUCCEEDED
    (summary,) = bench.column("SELECT summary FROM batchord.runs")
    assert summary["steps"][STEP]["truncated"] == 2


@pytest.mark.parametrize("had_an_outcome", [False, True])
def test_what_only_the_server_refuses_costs_its_own_record(bench: Bench, *, had_an_outcome: bool) -> None:
    """In a table that Batchord has made, too, however many there are."""
    insert(bench, 9)
    bench.declare(answers, outputs={"note": "text"})
    run_id, messages = bench.planned(parallelism=1)
    bench.sql(
        "ALTER TABLE batchord_results.items__score ADD CHECK (1 / (CASE WHEN note > 'of 3' THEN 0 ELSE 1 END) = 1)"
    )
    if had_an_outcome:
        bench.sql(
            "INSERT INTO batchord.rejections (pipeline, step, record_key, model_version, reason, detail, attempts, "
            "run_id, shard) VALUES ('items', 'score', '2', 'v', 'r', 'd', 1, gen_random_uuid(), 0)"
        )
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    written = [1, 3] if had_an_outcome else [1, 2, 3]
    assert bench.column("SELECT id FROM batchord_results.items__score ORDER BY id") == written
    rejected = bench.column("SELECT record_key FROM batchord.rejections WHERE reason = 'unfitting-output' ORDER BY 1")
    assert rejected == ["4", "5", "6", "7", "8", "9"]
    bench.assert_exactly_once()


def test_old_outputs_are_cleared_with_their_columns(bench: Bench) -> None:
    """``BATCHORD_KEEP_OUTPUTS_DAYS`` means all of the output."""
    insert(bench, 2)
    bench.declare(answers, outputs=OUTPUTS)
    bench.run()
    bench.sql("UPDATE batchord_results.items__score SET output = NULL WHERE id = 1")
    cleared = bench.ledger.pruning.outputs(before=datetime.now(UTC) + timedelta(days=1))
    assert cleared == 2
    rows = bench.sql("SELECT label, items, embedding, eta, output FROM batchord_results.items__score ORDER BY id")
    assert rows == [("short", None, None, None, None)] * 2
    assert bench.column("SELECT output FROM batchord.current_predictions") == [None, None]


def test_a_newer_earlier_row_takes_the_place_with_its_output(bench: Bench) -> None:
    """The mover keeps all of the output of the row that goes, and no value of it in the row that comes."""
    bench.sql("CREATE TABLE codes (k char(4) PRIMARY KEY, body text); INSERT INTO codes VALUES ('ab', 'xx')")
    source = SqlSource("SELECT k, body FROM codes", key="k")
    bench.declare(answers, source=source, outputs={"items": "jsonb"})
    assert bench.run().predicted == 1
    bench.sql("UPDATE batchord_results.items__score SET predicted_at = '2024-01-01'")
    version(bench, "ab  ", "v2", 2)
    bench.sql("UPDATE batchord.results SET has_earlier = true")
    assert bench.ledger.moving.begin()
    while bench.ledger.moving.move(100) is not None:
        pass
    assert bench.sql("SELECT label, items, output FROM batchord_results.items__score") == [("by v2", None, None)]
    ((superseded, output),) = bench.sql("SELECT superseded, output FROM batchord.earlier_predictions")
    assert superseded
    assert output.pop("eta")
    assert output == {"items": [{"id": 2, "rank": 1}], "embedding": [0.1, 2.0, 1e-60], "note": "of 2"}


def test_more_columns_than_a_function_of_postgresql_takes_values(bench: Bench) -> None:
    """The views join them all, and so do Batchord's own queries."""
    import pandas as pd

    names = [f"n{number}" for number in range(120)]

    def many(frame: "pd.DataFrame") -> "pd.DataFrame":
        return pd.DataFrame({name: [number] * len(frame) for number, name in enumerate(names)}, index=frame.index)

    insert(bench, 1)
    bench.declare(many, outputs=dict.fromkeys(names, "integer"))
    assert bench.run().predicted == 1
    assert bench.column("SELECT output FROM batchord.predictions") == [{name: at for at, name in enumerate(names)}]
