"""A table of an author's for the drills, what its author may do to it in mid-run, and what must be true at the end."""

import json
from typing import NamedTuple

from tests.drills.drill import Drill

#: The table that the drills name, and what an application keeps beside it.
TABLE = """
    CREATE TABLE moods (
        id bigint PRIMARY KEY, label text, score float8, writer int, predicted_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE told (id bigint);
"""
#: What an application may do with each row: it has no key, so it would have a row twice that was written twice.
RULES = """
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.told VALUES (NEW.id); RETURN NULL; END $$;
    CREATE TRIGGER tell AFTER INSERT ON moods FOR EACH ROW EXECUTE FUNCTION tell();
    ALTER TABLE moods ADD FOREIGN KEY (id) REFERENCES notes ON DELETE CASCADE
"""
#: Notes without exactly one row that somebody is known to have written, and rows without a note.
_WRONG = """
    SELECT note.id FROM notes AS note FULL JOIN ({rows}) AS row ON row.id = note.id
    LEFT JOIN batchord.writers AS writer ON writer.id = row.writer
    GROUP BY note.id
    HAVING note.id IS NULL OR count(row.id) <> 1 OR count(writer.id) <> 1 OR max(row.score) <> max(length(note.body))
"""
_SHOWN = """
    SELECT count(*), count(DISTINCT record_key), (SELECT count(*) FROM batchord.rejections)
    FROM batchord.predictions WHERE pipeline = 'notes'
"""
_TOLD = """
    SELECT count(*) = count(DISTINCT id), count(*) = (SELECT count(*) FROM moods) FROM told
"""
_SHOWN_WITHOUT = "SELECT batchord.show_results(without => id) FROM batchord.results WHERE table_name = 'moods'"


class Change(NamedTuple):
    """What an author does to the table, what PostgreSQL says of it, and how it is taken back."""

    made: str
    words: str
    undone: str


def _trigger(body: str, when: str) -> str:
    return (
        f"CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$; "
        f"CREATE {when} FOR EACH ROW WHEN (NEW.id % 100 = 99) EXECUTE FUNCTION odd()"
    )


#: Each of them refuses four rows of 400, in four batches.
REFUSALS = {
    "constraint": Change(
        "ALTER TABLE moods ADD CONSTRAINT odd CHECK (id % 100 <> 99)",
        "violates check constraint",
        "ALTER TABLE moods DROP CONSTRAINT odd",
    ),
    "trigger that raises": Change(
        _trigger("RAISE 'no %', NEW.id;", "TRIGGER odd BEFORE INSERT ON moods"), "no ", "DROP TRIGGER odd ON moods"
    ),
    "trigger that swallows": Change(
        _trigger("RETURN NULL;", "TRIGGER odd BEFORE INSERT ON moods"), "did not keep", "DROP TRIGGER odd ON moods"
    ),
    "deferred trigger": Change(
        _trigger(
            "RAISE 'late %', NEW.id;", "CONSTRAINT TRIGGER odd AFTER INSERT ON moods DEFERRABLE INITIALLY DEFERRED"
        ),
        "late ",
        "DROP TRIGGER odd ON moods",
    ),
    "deferred key": Change(
        "CREATE TABLE parents AS SELECT id FROM notes WHERE id % 100 <> 99; ALTER TABLE parents ADD PRIMARY KEY (id); "
        "ALTER TABLE moods ADD CONSTRAINT odd FOREIGN KEY (id) REFERENCES parents DEFERRABLE INITIALLY DEFERRED",
        "violates foreign key constraint",
        "INSERT INTO parents SELECT id FROM notes WHERE id % 100 = 99",
    ),
}
#: After each of them, nothing can be written.
BREAKS = {
    "a column is renamed": Change(
        "ALTER TABLE moods RENAME label TO mood",
        'column "label" of relation "moods" does not exist',
        "ALTER TABLE moods RENAME mood TO label",
    ),
    "the key is renamed": Change(
        "ALTER TABLE moods RENAME id TO note",
        'column "id" of relation "moods" does not exist',
        "ALTER TABLE moods RENAME note TO id",
    ),
    "a column is dropped": Change(
        f"{_SHOWN_WITHOUT}; ALTER TABLE moods DROP label",
        'column "label" of relation "moods" does not exist',
        "ALTER TABLE moods ADD label text; SELECT batchord.show_results()",
    ),
    "the table is renamed": Change(
        "ALTER TABLE moods RENAME TO feelings",
        'relation "public.moods" does not exist',
        "ALTER TABLE feelings RENAME TO moods",
    ),
    "a right is revoked": Change(
        "REVOKE INSERT ON moods FROM batchord_author",
        "permission denied for table moods",
        "GRANT INSERT ON moods TO batchord_author",
    ),
}
#: After each of these, no row of a prediction can be found.
NAMES = {what: BREAKS[what] for what in ("a column is renamed", "the table is renamed")}


def check_rows(drill: Drill, *tables: str, told: bool) -> None:
    """Asserts that each note has one row in all of the tables, and that the views, the audit and the trigger agree.

    ``told``: whether the table ``moods`` had the :data:`RULES`.
    """
    sql = drill.cluster.sql
    rows = " UNION ALL ".join(f"SELECT id, score, writer FROM {table}" for table in tables or ("moods",))  # noqa: S608
    assert sql(_WRONG.format(rows=rows)) == []
    ((notes,),) = sql("SELECT count(*) FROM notes")
    assert sql(_SHOWN) == [(notes, notes, 0)]
    audited = json.loads(drill.cluster.batchord("audit", "notes", "--json").stdout)["notes"]
    assert (audited["records"], audited["predicted"]) == (notes, notes)
    assert [audited[name] for name in ("rejected", "pending", "missing", "duplicated")] == [0] * 4
    if told:
        assert sql(_TOLD) == [(True, True)]
