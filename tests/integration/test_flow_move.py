"""What earlier releases predicted moves into the tables of the steps: none is lost, and none is there twice."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from batchord.core.errors import TransientError
from batchord.core.run.records import TextKey
from batchord.core.run.runs import RunState
from batchord.flow.upkeep import move
from batchord.flow.upkeep.audit import audit
from batchord.flow.upkeep.move import move_earlier
from batchord.reports.moving import moving_remark
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of
from tests.integration.move_parts import as_of_before, few, fill, make, shown, state, version

_COUNT = "SELECT count(*), count(DISTINCT record_key) FROM batchord.predictions WHERE record_key::int <= 3000"
#: Of each type of key: the texts that stand in the ledger, with PostgreSQL's own; None: they cannot be such keys.
_KEYS: dict[str, dict[str, str | None]] = {
    "smallint": {"7": "7", "-32768": "-32768", "32768": None, "007": None, "x": None},
    "integer": {"0": "0", "2147483647": "2147483647", "2147483648": None, "-0": None},
    "bigint": {"-9223372036854775808": "-9223372036854775808", "9223372036854775808": None, "1.0": None},
    "uuid": {
        "0197a0c0-1111-7000-8000-00000000000a": "0197a0c0-1111-7000-8000-00000000000a",
        "0197A0C0-1111-7000-8000-00000000000B": None,
        "x": None,
    },
    "text": {"a": "a", "": "", "007": "007", "x" * 500 + "#" + "0" * 32: "x" * 500 + "#" + "0" * 32},
    "character varying": {"a b ": "a b "},
    "numeric": {"1.5": "1.5", "1.50": "1.50", "100": "100", "NaN": "NaN", " 7": None, "x": None},
    "bpchar": {"ab  ": "ab", "cd": "cd", "    ": ""},
    "date": {"2024-02-29": "2024-02-29", "2024-2-9": None, "2023-02-29": None},
    "timestamp without time zone": {
        "2024-02-29T12:30:00": "2024-02-29 12:30:00",
        "2024-02-29T12:30:00.250000": "2024-02-29 12:30:00.25",
        "2024-02-29 12:31:00": "2024-02-29 12:31:00",
        "2024-02-30T12:31:00": None,
    },
    "timestamp with time zone": {
        "2024-02-29T12:30:00+00:00": "2024-02-29 12:30:00+00",
        "2024-02-29 12:31:00+00": "2024-02-29 12:31:00+00",
        "2024-02-29T12:30:00+01:00": None,
    },
    "bytea": {"00ff": "\\x00ff", "\\x01": "\\x01", "0": None},
    "double precision": {"1.0": "1", "1e+16": "1e+16", "inf": "Infinity", "nan": "NaN", "0.1": "0.1", "x": None},
    "real": {"2.5": "2.5", "2": "2"},
    "interval": {"1 day": "1 day", "24:00:00": "24:00:00", "P1D": None},
    "inet": {"10.0.0.1/32": "10.0.0.1/32", "10.0.0.1": None, "10.0.0.300": None},
    "jsonb": {'{"a": 1}': '{"a": 1}', '{"a":1}': None},
}


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def test_all_rows_move_and_the_views_show_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """In many transactions. Afterwards nothing looks at the old table any more."""
    monkeypatch.setattr(move, "_FIRST_BLOCKS", 1)
    monkeypatch.setattr(move, "_MOST_BLOCKS", 3)
    fill(bench, 2000)
    fill(bench, 500, pipeline="gone")
    make(bench, "bigint")
    before = {view: shown(bench, view) for view in ("predictions", "current_predictions")}
    assert move_earlier(bench.parts()) == 2000
    assert {view: shown(bench, view) for view in before} == before
    assert state(bench) == [(ITEMS, False, None, 2000, 0)]
    assert bench.sql("SELECT DISTINCT pipeline FROM batchord.earlier_predictions") == [("gone",)]
    assert bench.value(f"SELECT count(DISTINCT writer) FROM {bench.table()}") == 401  # noqa: S608
    assert move_earlier(bench.parts()) == 0


def test_a_rewritten_old_table_is_read_again(bench: Bench) -> None:
    """Rows get into blocks that were read before. People run VACUUM FULL to get the space of moved rows back."""
    make(bench, "bigint")
    fill(bench, 2000)
    before = shown(bench, "predictions")
    assert bench.ledger.moving.begin()
    bench.ledger.moving.move(8)
    bench.sql("VACUUM FULL batchord.earlier_predictions")
    assert move_earlier(bench.parts()) > 0
    assert state(bench) == [(ITEMS, False, None, 2000, 0)]
    assert shown(bench, "predictions") == before


@pytest.mark.parametrize("key_type", list(_KEYS))
def test_keys_get_the_texts_of_postgresql(bench: Bench, key_type: str) -> None:
    """Where their texts can be read as such keys. The others stay, where every view shows them."""
    keys = _KEYS[key_type]
    make(bench, key_type)
    few(bench, *keys)
    readable = [text for text in keys.values() if text is not None]
    move_earlier(bench.parts())
    assert state(bench) == [(ITEMS, len(readable) < len(keys), None, len(readable), len(keys) - len(readable))]
    assert sorted(bench.column("SELECT record_key FROM batchord.result_rows")) == sorted(readable)
    for view in ("predictions", "current_predictions"):
        texts = bench.column(f"SELECT record_key FROM batchord.{view}")  # noqa: S608 -- a constant
        assert sorted(texts) == sorted(key if text is None else text for key, text in keys.items())
    assert sorted(bench.column(f"SELECT k::text FROM {bench.table()}")) == sorted(readable)  # noqa: S608


def test_the_newest_version_is_served_and_the_others_stay(bench: Bench) -> None:
    """At each moment, wherever the others lie."""
    make(bench, "bigint")
    fill(bench, 400)
    for key, name, second in (("5", "v3", 3), ("5", "v2", 2), ("400", "v2", 2), ("7", "v2", 9)):
        version(bench, key, name, second)
    fill_again = "UPDATE batchord.earlier_predictions SET predicted_at = '2026-01-01' WHERE record_key = '6'"
    bench.sql(fill_again)  # the newest of two, far from its older one
    version(bench, "6", "v2", 1)
    before = {view: shown(bench, view) for view in ("predictions", "current_predictions")}
    assert bench.ledger.moving.begin()
    while bench.ledger.moving.move(1) is not None:
        assert {view: shown(bench, view) for view in before} == before
    assert state(bench) == [(ITEMS, False, None, 400, 0)]
    query = "SELECT record_key, model_version FROM batchord.earlier_predictions WHERE superseded ORDER BY 1, 2"
    stay = bench.sql(query)
    assert stay == [("400", "v1"), ("5", "v1"), ("5", "v2"), ("6", "v2"), ("7", "v1")]
    assert bench.value("SELECT count(*) FROM batchord.earlier_predictions") == 5
    assert bench.ledger.audit.states(ITEMS, STEP, [5, 6, 8]) == {5: (3, 0), 6: (2, 0), 8: (1, 0)}
    assert len(bench.ledger.provenance.outcomes(ITEMS, STEP, ["5"])) == 3


def test_two_texts_of_one_key_become_one_record(bench: Bench) -> None:
    """The newest is served, also if the older one has moved before."""
    make(bench, "bpchar")
    version(bench, "ab  ", "v1", 1)
    version(bench, "cd  ", "v1", 1)
    fill(bench, 200)
    version(bench, "ab", "v2", 2)
    before = bench.value("SELECT count(*) FROM batchord.predictions")
    assert bench.ledger.moving.begin()
    while bench.ledger.moving.move(1) is not None:
        assert bench.value("SELECT count(*) FROM batchord.predictions") == before
    rows = "SELECT record_key, model_version FROM batchord.{} WHERE record_key IN ('ab', 'cd') ORDER BY 1, 2"
    assert bench.sql(rows.format("current_predictions")) == [("ab", "v2"), ("cd", "v1")]
    assert bench.sql(rows.format("predictions")) == [("ab", "v1"), ("ab", "v2"), ("cd", "v1")]
    assert state(bench) == [(ITEMS, False, None, 202, 0)]


def test_a_step_that_gets_its_table_later_moves_later(bench: Bench) -> None:
    """Those of a pipeline that is gone wait for ever, and cost the others nothing."""
    fill(bench, 300)
    fill(bench, 300, pipeline="later")
    make(bench, "bigint")
    assert move_earlier(bench.parts()) == 300
    assert move_earlier(bench.parts()) == 0
    make(bench, "text", pipeline="later")
    assert move_earlier(bench.parts()) == 300
    assert state(bench) == [(ITEMS, False, None, 300, 0), ("later", False, None, 300, 0)]
    assert bench.value("SELECT count(*) FROM batchord.earlier_predictions") == 0


def test_a_step_catches_up_with_one_that_began_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then one pass serves both."""
    monkeypatch.setattr(move, "_FIRST_BLOCKS", 2)
    for n in range(4):
        fill(bench, 150, pipeline=f"p{n}")
    make(bench, "bigint", pipeline="p3")
    before = shown(bench)
    assert bench.ledger.moving.begin()
    assert bench.ledger.moving.move(3) is not None
    make(bench, "integer", pipeline="p1")
    assert move_earlier(bench.parts()) == 300
    assert shown(bench) == before
    assert state(bench) == [("p1", False, None, 150, 0), ("p3", False, None, 150, 0)]


def test_a_wider_key_gives_those_that_stayed_another_chance(bench: Bench) -> None:
    """As after the source's key has outgrown its type."""
    make(bench, "integer")
    few(bench, "1", "5000000000")
    assert move_earlier(bench.parts()) == 1
    assert state(bench) == [(ITEMS, True, None, 1, 1)]
    make(bench, "bigint")
    assert move_earlier(bench.parts()) == 1
    assert state(bench) == [(ITEMS, False, None, 2, 0)]


def test_a_numeric_key_is_found_under_its_former_text(bench: Bench) -> None:
    """Releases before dropped its trailing zeros, and nobody can tell how many there were."""
    bench.sql("CREATE TABLE prices (k numeric(8, 2) PRIMARY KEY, body text)")
    bench.sql("INSERT INTO prices VALUES (1.5, 'body'), (2, 'body'), (3.25, 'body')")
    bench.declare(source=SqlSource("SELECT * FROM prices", key="k"))
    make(bench, "numeric")
    few(bench, "1.5", "2")
    assert move_earlier(bench.parts()) == 2
    assert bench.run().predicted == 1
    assert sorted(bench.outcomes()) == ["1.5", "2", "3.25"]
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.predicted, found.duplicated, found.missing) == (3, 0, 0)
    key = TextKey("1.50", formerly="1.5")
    assert bench.ledger.planner.accounted(ITEMS, STEP, [key]) == {key}


def test_a_run_that_both_releases_worked_at_ends_with_all_its_rows(bench: Bench) -> None:
    """Its shards predicted some before the upgrade. They move while the step is being counted."""
    bench.insert(30)
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    lease = bench.claim(run_id)
    bench.ledger.shards.commit(lease, batch_of(*range(1, 13)))
    as_of_before(bench)
    bench.expire_leases()
    assert bench.ledger.moving.begin()
    assert bench.run_on(run_id, messages).predicted == 30
    assert move_earlier(bench.parts()) == 12
    bench.assert_exactly_once()
    assert bench.run().discovered == 0


def test_runs_go_on_while_rows_move(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is in one place at each moment: no plan and no shard takes one that was predicted before."""
    monkeypatch.setattr(move, "_MOST_BLOCKS", 2)
    monkeypatch.setattr(move, "_FIRST_BLOCKS", 1)
    bench.insert(3000)
    bench.declare()
    make(bench, "bigint")
    fill(bench, 3000)
    wrong: list[Any] = []
    over = Event()

    def look() -> None:
        with psycopg.connect(bench.url, autocommit=True) as connection:
            while not over.is_set():
                row = connection.execute(_COUNT).fetchone()
                if row != (3000, 3000):
                    wrong.append(row)

    def go_on() -> None:
        for _ in range(4):
            bench.insert(20)
            wrong.extend(run.state for run in [bench.run()] if (run.state, run.predicted) != (RunState.SUCCEEDED, 20))
            bench.sql("DELETE FROM batchord.frontiers")

    runs, looks = Thread(target=go_on), Thread(target=look)
    looks.start()
    runs.start()
    movers = [Thread(target=move_earlier, args=(bench.parts(),)) for _ in range(2)]
    for mover in movers:
        mover.start()
    for thread in (*movers, runs):
        thread.join()
    over.set()
    looks.join()
    move_earlier(bench.parts())
    assert wrong == []
    assert state(bench) == [(ITEMS, False, None, 3000, 0)]
    bench.assert_exactly_once()


def test_a_reset_forgets_both_places_and_nobody_moves_meanwhile(bench: Bench) -> None:
    """The one waits for the other's transaction, and what is reset is skipped."""
    fill(bench, 500)
    fill(bench, 50, pipeline="other")
    make(bench, "bigint")
    make(bench, "bigint", pipeline="other")
    assert bench.ledger.moving.begin()
    assert bench.ledger.moving.move(2) is not None
    with psycopg.connect(bench.url) as resetting:
        resetting.execute("SELECT FROM batchord.results WHERE pipeline = %s FOR UPDATE", [ITEMS])
        assert move_earlier(bench.parts()) == 50
    bench.declare()
    (forgotten,) = bench.ledger.resets.reset(ITEMS, [STEP])
    assert forgotten.predictions == 500
    assert move_earlier(bench.parts()) == 0
    assert state(bench) == [(ITEMS, False, None, 0, 0), ("other", False, None, 50, 0)]


def test_outputs_of_rows_that_move_are_pruned_afterwards(bench: Bench) -> None:
    """A row that changes would get into a block that was read already."""
    fill(bench, 300)
    fill(bench, 30, pipeline="gone")
    make(bench, "bigint")
    later = bench.ledger.runs.now()
    assert bench.ledger.moving.begin()
    assert bench.ledger.pruning.outputs(before=later) == 10
    assert move_earlier(bench.parts()) == 300
    assert bench.ledger.pruning.outputs(before=later) == 100
    assert bench.value("SELECT count(output) FROM batchord.predictions") == 0


def test_it_begins_when_nobody_changes_the_old_rows(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A transaction that began before does not know yet which steps are being moved."""
    fill(bench, 30)
    make(bench, "bigint")
    with psycopg.connect(bench.url) as pruning:
        pruning.execute("UPDATE batchord.earlier_predictions SET output = NULL WHERE record_key = '3'")
        assert move_earlier(bench.parts()) == 0
        with pytest.raises(TransientError, match="lock timeout"):
            bench.ledger.moving.begin()
    assert "are moved later" in caplog.text
    assert move_earlier(bench.parts()) == 30


def test_a_table_that_refuses_rows_leaves_them_where_they_are(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """They count as before, and the other steps go on."""
    fill(bench, 40)
    fill(bench, 40, pipeline="other")
    make(bench, "bigint")
    make(bench, "bigint", pipeline="other")
    bench.sql(f"ALTER TABLE {bench.table()} ADD CHECK (label <> 'l2')")
    before = shown(bench)
    assert move_earlier(bench.parts()) == 40
    assert shown(bench) == before
    assert state(bench) == [(ITEMS, True, None, 0, 0), ("other", False, None, 40, 0)]
    assert "items__score refuses predictions that earlier releases made in step score of items" in caplog.text
    assert move_earlier(bench.parts()) == 0


def test_people_see_how_far_it_is(bench: Bench) -> None:
    """In the status of the stack, until nothing is left to move."""
    fill(bench, 700)
    assert moving_remark(bench.ledger) is None, "no step has a table"
    make(bench, "bigint")
    assert "tables of 1 step: 0 have moved, 100% of the old table is left" in (moving_remark(bench.ledger) or "")
    bench.ledger.moving.begin()
    moved = bench.ledger.moving.move(6)
    assert moved is not None
    blocks = bench.value("SELECT pg_relation_size('batchord.earlier_predictions') / 8192")
    said = f"{moved.predictions} have moved, {1 - 6 / blocks:.0%} of the old table is left"
    assert said in (moving_remark(bench.ledger) or "")
    move_earlier(bench.parts())
    assert moving_remark(bench.ledger) is None
