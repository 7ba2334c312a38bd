"""Rows as lines of text: what programs read is what was predicted; what people see cannot steer a terminal."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from batchord.core.run.exported import COLUMNS, Column
from batchord.exports.formats import Format, writing
from batchord.exports.sink import Sink

_AT = datetime(2026, 11, 30, 6, tzinfo=UTC)
_NAMES = ("label", "score", "output", "shard", "predicted_at")


def written(of: Format, names: Sequence[str], *rows: Sequence[Any], for_people: bool = False) -> str:
    """The file with these rows."""
    file = io.BytesIO()
    columns = [Column(name=name, type=COLUMNS[name]) for name in names]
    sink = Sink(file)
    with writing(of, sink, columns, for_people=for_people) as writer:
        for row in rows:
            writer.write(row)
    assert sink.bytes == len(file.getvalue())
    return file.getvalue().decode()


def test_csv_is_that_of_the_rfc() -> None:
    """With CRLF, quotes where they are needed, and times of one form."""
    text = written(Format.CSV, _NAMES, ("a,b", 0.5, '{"p": 1}', 3, _AT), (None, None, None, None, _AT))

    assert text.splitlines(keepends=True) == [
        "label,score,output,shard,predicted_at\r\n",
        '"a,b",0.5,"{""p"": 1}",3,2026-11-30T06:00:00.000000+00:00\r\n',
        ",,,,2026-11-30T06:00:00.000000+00:00\r\n",
    ]


@pytest.mark.parametrize(
    "label", ["=1+1", "+1", "-1", "@x", "a\r\nb", 'say "yes"', '"', ",", " x ", "ünïcödé 猫", "\u2028", "\\."]
)
def test_csv_keeps_every_value(label: str) -> None:
    """Python's own reader reads it back."""
    text = written(Format.CSV, ("label", "score"), (label, 0.1))

    assert list(csv.reader(io.StringIO(text, newline=""))) == [["label", "score"], [label, "0.1"]]


def test_csv_tells_null_from_an_empty_text() -> None:
    """NULL is empty. Alone in its line it would be a line that readers skip."""
    assert written(Format.CSV, ("label", "score"), ("", None)).splitlines()[1] == '"",'
    assert written(Format.CSV, ("label",), (None,)).splitlines()[1] == '""'


def test_json_lines_hold_values() -> None:
    """Numbers are numbers, JSON is JSON, and a line is an object."""
    text = written(Format.JSONL, _NAMES, ("a\n\u2028猫", 0.1, '{"p": [1, 1e400]}', 3, _AT), (None, None, None, 4, _AT))

    first, second, end = text.split("\n")
    assert json.loads(first) == {
        "label": "a\n\u2028猫",
        "score": 0.1,
        "output": {"p": [1, float("inf")]},  # more than a float can hold, and as it was
        "shard": 3,
        "predicted_at": "2026-11-30T06:00:00.000000+00:00",
    }
    assert '"output": {"p": [1, 1e400]}' in first
    assert json.loads(second)["output"] is None
    assert end == ""


@pytest.mark.parametrize("of", [Format.CSV, Format.JSONL], ids=str)
def test_on_a_terminal_a_row_is_one_line_that_steers_nothing(of: Format) -> None:
    """Its control characters and line ends are shown as escapes."""
    text = written(of, ("label", "shard"), ("\x1b[2J\r\nforged", 1), for_people=True)

    assert "\x1b" not in text
    assert "\r" not in text
    assert not any(line.startswith("forged") for line in text.splitlines())
