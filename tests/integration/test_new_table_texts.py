"""`batchord new --table` chooses the column of texts, says why, and names the columns that it leaves out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batchord.core.run.runs import RunState
from tests.integration.drafts import Author, author


@pytest.fixture
def person(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Author]:
    """See :func:`.drafts.author`."""
    with author(database_url, tmp_path, monkeypatch) as person:
        yield person


#: The columns, the rows, the columns that are chosen, why, and what is left out.
_TEXTS: dict[str, tuple[str, str | None, list[str], str, list[str]]] = {
    "long texts": (
        "amount text, country text, blurb text",
        "'12.50', 'Portugal', repeat('A film that nobody forgets. ', 4)",
        ["blurb"],
        "blurb: the longest texts, ",
        ["amount (text)", "country (text)"],
    ),
    "codes": (
        "amount text, country text, n int",
        "'12.50', 'DE', 1",
        ["amount", "country", "n"],
        "all texts and numbers",
        [],
    ),
    "codes without statistics": (
        "amount text, country text",
        None,
        ["amount", "country"],
        "all texts and numbers",
        [],
    ),
    "nothing to tell": (
        "first text, second varchar",
        None,
        ["first"],
        "first: the first column of texts",
        ["second (character varying)"],
    ),
    "a name before a size": (
        "url text, body text, facts jsonb",
        "repeat('x', 90), 'Fine.', NULL",
        ["body"],
        "body: by its name, 6 bytes on average",
        ["url (text)", "facts (jsonb)"],
    ),
}


@pytest.mark.parametrize("case", _TEXTS)
def test_the_text_is_the_prose_and_nothing_is_left_out_in_silence(person: Author, case: str) -> None:
    """Amounts, codes and addresses are no prose, by their names and by PostgreSQL's statistics. The drafts run."""
    columns, rows, chosen, why, left_out = _TEXTS[case]
    person.bench.sql(f"CREATE TABLE t (id bigserial PRIMARY KEY, {columns})")
    names = ", ".join(column.split()[0] for column in columns.split(", "))
    if rows is not None:
        person.bench.sql(f"INSERT INTO t ({names}) SELECT {rows} FROM generate_series(1, 20)")  # noqa: S608 -- above
        person.bench.sql("ANALYZE t")

    told = person.draft("t", "--table", "t")

    assert (told["columns"], told["left_out"]) == (chosen, left_out)
    assert told["columns_why"].startswith(why)
    assert person.run("t").state is RunState.SUCCEEDED


def test_people_read_what_is_left_out(person: Author) -> None:
    """In the command's own words, beside the key and the arrival."""
    person.bench.sql("CREATE TABLE t (id bigserial PRIMARY KEY, body text, country text, seen date)")

    told = person.new("t", "--table", "t").stdout

    assert "body: by its name" in told
    assert "left out country (text), seen (date) add to the query what the model reads" in " ".join(told.split())
