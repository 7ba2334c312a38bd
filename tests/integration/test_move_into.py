"""Earlier predictions of steps with ``into=`` move into a table that Batchord made, and into no other one."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from batchord.core.errors import TransientError
from batchord.core.run.runs import RunState
from batchord.flow.upkeep import move
from batchord.flow.upkeep.audit import audit
from batchord.flow.upkeep.move import move_earlier
from batchord.reports.moving import moving_remark
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of
from tests.integration.move_parts import as_of_before, few, fill, make, shown

_AUTHORS = (
    "CREATE TABLE authors (id bigint PRIMARY KEY, label text, score float8, writer int, "
    "predicted_at timestamptz NOT NULL DEFAULT now())"
)
_COUNTED = "SELECT count(*), count(DISTINCT record_key) FROM batchord.{} WHERE record_key::int <= 1500"
_USE = """
    SELECT batchord.use_results(%s, %s, 'k', %s, 'public', %s, (
        SELECT jsonb_object_agg(held, held)
        FROM unnest('{input_digest,predicted_at,score,writer,label,output,record_key}'::text[]) AS held), false)
"""
#: What an author adds to a table that Batchord made, so that it no longer takes or keeps some rows.
_TRIGGER = """
    CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.id = 90 THEN {} END IF; RETURN NEW; END $$;
    CREATE {}TRIGGER odd {} INSERT ON moods {} FOR EACH ROW EXECUTE FUNCTION odd()
"""
_RULES = {
    "check": "ALTER TABLE moods ADD CHECK (id <> 90)",
    "unique": "CREATE UNIQUE INDEX ON moods (score) WHERE id > 80; UPDATE batchord.earlier_predictions SET score = 1",
    "swallows": _TRIGGER.format("RETURN NULL;", "", "BEFORE", ""),
    "other key": _TRIGGER.format("NEW.id := -90;", "", "BEFORE", ""),
    "late": _TRIGGER.format("RAISE 'too late';", "CONSTRAINT ", "AFTER", "DEFERRABLE INITIALLY DEFERRED"),
}


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Parts over one test's database; a transaction moves the rows of one block or two."""
    monkeypatch.setattr(move, "_FIRST_BLOCKS", 1)
    monkeypatch.setattr(move, "_MOST_BLOCKS", 2)
    with Bench(database_url, tmp_path) as bench:
        yield bench


def places(bench: Bench) -> list[tuple[Any, ...]]:
    """What the ledger knows of the move into each of the step's tables."""
    query = "SELECT table_name, is_current, has_earlier, moving_from, moved, kept FROM batchord.results ORDER BY id"
    return bench.sql(query)


def move_all(bench: Bench) -> int:
    """Moves until nothing is left to move; each call has only some seconds."""
    moved = 0
    while bench.ledger.moving.begin():
        moved += move_earlier(bench.parts())
    return moved


def run_on(bench: Bench, into: str | None) -> int:
    """How many of five new records a run predicts into the table of this name."""
    bench.declare(into=into)
    bench.insert(5)
    bench.sql("DELETE FROM batchord.frontiers")
    return bench.run().predicted


def use(bench: Bench, table: str, key_type: str) -> None:
    """Makes a table of this name the step's current one, as a plan does."""
    bench.sql(_USE, ITEMS, STEP, key_type, table)


def test_rows_move_into_a_table_that_batchord_made_by_the_authors_name(bench: Bench) -> None:
    """With everything that they hold, and a reset forgets them there."""
    bench.insert(300)
    fill(bench, 300)
    assert run_on(bench, "moods") == 5
    before = {view: shown(bench, view) for view in ("predictions", "current_predictions")}
    assert move_all(bench) == 300
    assert {view: shown(bench, view) for view in before} == before
    assert places(bench) == [("moods", True, False, None, 300, 0)]
    assert bench.value("SELECT count(*) FROM moods") == 305
    assert run_on(bench, "moods") == 5
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.records, found.predicted, found.duplicated) == (310, 310, 0)
    (forgotten,) = bench.ledger.resets.reset(ITEMS, [STEP])
    assert forgotten.predictions == 310
    assert bench.value("SELECT count(*) FROM moods") == 0


def test_rows_stay_if_the_author_has_made_the_table(bench: Bench) -> None:
    """They count, nobody looks at them again and again, and they move once Batchord names the table."""
    bench.sql(_AUTHORS)
    bench.insert(300)
    fill(bench, 300)
    assert run_on(bench, "authors") == 5
    before = shown(bench, "current_predictions")
    assert not bench.ledger.moving.begin()
    assert move_all(bench) == 0
    assert moving_remark(bench.ledger) is None
    assert places(bench) == [("authors", True, True, None, 0, 0)]
    assert shown(bench, "current_predictions") == before
    assert run_on(bench, "authors") == 5
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.records, found.predicted, found.duplicated) == (310, 310, 0)
    assert run_on(bench, None) == 5
    assert move_all(bench) == 300
    assert places(bench) == [("authors", False, False, None, 0, 0), ("items__score", True, False, None, 300, 0)]
    assert bench.value("SELECT count(*) FROM authors") == 10
    bench.assert_exactly_once()


def test_a_move_goes_on_into_the_table_in_which_it_began(bench: Bench) -> None:
    """So no two tables get versions of one record; all tables of the step learn of its end."""
    bench.insert(600)
    fill(bench, 600)
    assert run_on(bench, None) == 5
    assert bench.ledger.moving.begin()
    assert bench.ledger.moving.move(3) is not None
    bench.sql(_AUTHORS)
    for into in ("moods", "authors", "moods"):
        assert run_on(bench, into) == 5
        assert bench.ledger.moving.move(1) is not None
        assert moving_remark(bench.ledger) is not None
        bench.assert_exactly_once()
    move_all(bench)
    assert places(bench) == [
        ("items__score", False, False, None, 600, 0),
        ("moods", True, False, None, 0, 0),
        ("authors", False, False, None, 0, 0),
    ]
    assert not bench.ledger.moving.begin()
    bench.assert_exactly_once()
    (forgotten,) = bench.ledger.resets.reset(ITEMS, [STEP])
    assert forgotten.predictions == 620


def test_the_table_changes_while_rows_move(bench: Bench) -> None:
    """Each moment shows each record once, and no run predicts one again."""
    bench.sql(_AUTHORS)
    bench.insert(1500)
    fill(bench, 1500)
    make(bench, "bigint")
    wrong: list[Any] = []
    over = Event()

    def look() -> None:
        with psycopg.connect(bench.url, autocommit=True) as connection:
            while not over.is_set():
                for view in ("predictions", "current_predictions"):
                    row = connection.execute(_COUNTED.format(view).encode()).fetchone()
                    wrong.extend([row] if row != (1500, 1500) else [])

    def moves() -> None:
        while not over.is_set():
            move_earlier(bench.parts(), seconds=0.2)

    others = [Thread(target=each) for each in (look, moves, moves)]
    for thread in others:
        thread.start()
    predicted = [run_on(bench, into) for into in ("moods", "authors", None, "authors", "moods", None)]
    over.set()
    for thread in others:
        thread.join()
    move_all(bench)
    assert (predicted, wrong) == ([5] * 6, [])
    assert bench.sql("SELECT sum(moved), bool_or(has_earlier), count(moving_from) FROM batchord.results") == [
        (1500, False, 0)
    ]
    assert bench.value("SELECT count(*) FROM batchord.earlier_predictions") == 0
    bench.assert_exactly_once()


def test_the_end_waits_for_nobody_who_changes_the_table(bench: Bench) -> None:
    """Whoever changes it holds tables in another order. The next watch ends the move."""
    bench.insert(50)
    fill(bench, 50)
    assert run_on(bench, None) == 5
    assert bench.ledger.moving.begin()
    assert run_on(bench, "moods") == 5
    while bench.value("SELECT count(*) FROM batchord.earlier_predictions"):
        assert bench.ledger.moving.move(1) is not None
    with psycopg.connect(bench.url) as changing:
        changing.execute("SELECT FROM batchord.results WHERE table_name = 'moods' FOR UPDATE")
        with pytest.raises(TransientError, match="could not obtain lock"):
            bench.ledger.moving.move(1)
    assert move_all(bench) == 0
    assert places(bench) == [("items__score", False, False, None, 50, 0), ("moods", True, False, None, 0, 0)]


@pytest.mark.parametrize("rule", list(_RULES))
def test_a_table_that_does_not_keep_a_row_gets_no_more(
    bench: Bench, rule: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that are left stay and count. The move does not begin again."""
    bench.insert(100)
    fill(bench, 100)
    assert run_on(bench, "moods") == 5
    bench.sql(_RULES[rule])
    before = shown(bench, "current_predictions")
    move_all(bench)
    assert shown(bench, "current_predictions") == before
    assert "public.moods refuses predictions that earlier releases made" in caplog.text
    ((_, _, has_earlier, moving_from, moved, _),) = places(bench)
    assert (has_earlier, moving_from) == (True, None)
    assert bench.value("SELECT count(*) FROM batchord.earlier_predictions") == 100 - moved > 0
    assert not bench.ledger.moving.begin()
    assert moving_remark(bench.ledger) is None


def test_what_one_table_cannot_hold_moves_into_another_only_if_none_has_moved(bench: Bench) -> None:
    """Otherwise two tables might get one record."""
    make(bench, "bigint")
    few(bench, "1", "x")
    use(bench, "moods", "text")
    assert move_all(bench) == 2
    bench.ledger.resets.reset(ITEMS, [STEP])
    make(bench, "bigint")
    few(bench, "1", "x")
    assert move_all(bench) == 1
    use(bench, "moods", "text")
    assert not bench.ledger.moving.begin()
    assert places(bench) == [("items__score", False, True, None, 1, 1), ("moods", True, True, None, 0, 0)]
    bench.ledger.resets.reset(ITEMS, [STEP])
    make(bench, "bigint")
    few(bench, "x", "y")
    assert move_all(bench) == 0
    use(bench, "moods", "text")
    assert move_all(bench) == 2
    assert places(bench) == [("items__score", False, False, None, 0, 2), ("moods", True, False, None, 2, 0)]


def test_a_key_that_became_wider_is_read_again_in_a_former_table_too(bench: Bench) -> None:
    """If its move had begun."""
    make(bench, "integer")
    few(bench, "1", "5000000000")
    assert bench.ledger.moving.begin()
    make(bench, "bigint")
    use(bench, "moods", "bigint")
    assert move_all(bench) == 2
    assert places(bench) == [("items__score", False, False, None, 2, 0), ("moods", True, False, None, 0, 0)]


@pytest.mark.parametrize("into", [None, "moods", "authors"])
def test_a_run_that_both_releases_worked_at_ends_with_all_its_rows(bench: Bench, into: str | None) -> None:
    """Its shards predicted some before the upgrade, which move or stay while it goes on."""
    bench.sql(_AUTHORS)
    bench.insert(30)
    bench.declare(into=into)
    run_id, messages = bench.planned(parallelism=1)
    bench.ledger.shards.commit(bench.claim(run_id), batch_of(*range(1, 13)))
    as_of_before(bench)
    bench.expire_leases()
    assert move_all(bench) == (0 if into == "authors" else 12)
    run = bench.run_on(run_id, messages)
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 30)
    bench.assert_exactly_once()
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0
