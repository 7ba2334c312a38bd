"""`batchord export` in a process of its own: Parquet, memory, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.flow_parts import ITEMS, Bench, by
from tests.waiting import wait_until
from tools.environment import ROOT
from tools.targets import PARQUET

#: pyarrow and DuckDB; not on the tests' own path, where pandas would find pyarrow and hold texts in another way.
_PACKAGES = Path(sys.prefix) / PARQUET
_COMMAND = "from batchord.app.cli import main; main()"
#: Tells at its end, even after an error, the most memory that the process has taken.
_MEASURED = f"""
import atexit
def tell():
    with open("/proc/self/status") as status:
        print(next(line.split()[1] for line in status if line.startswith("VmHWM")), file=open("peak", "w"))
atexit.register(tell)
{_COMMAND}
"""
_MANY = 100_000
#: With the rest of its row, 1,500 characters for each record: 150 MB in all.
_LONG = 1_400
#: How much more 100,000 rows may take than one, in KiB; a row group of Parquet is held as objects and as columns.
_MOST_KIB = {"csv": 20_000, "jsonl": 20_000, "parquet": 120_000}


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A prediction; the folder is the command's."""
    if not (_PACKAGES / "pyarrow").is_dir():
        pytest.fail("pyarrow is missing for these tests: `python3 -m tools.setup test` fetches it.")
    with Bench(database_url, tmp_path / "home") as bench:
        bench.insert(1)
        bench.declare()
        bench.run()
        monkeypatch.chdir(tmp_path)
        yield bench


def many(bench: Bench) -> None:
    """Predictions of many records."""
    table = bench.table()
    bench.sql(
        f"INSERT INTO {table} (id, label, score, writer) SELECT n, rpad(n::text, %s, 'x'), n, writer "  # noqa: S608
        f"FROM {table}, generate_series(2, %s) AS n",
        _LONG,
        _MANY,
    )


def started(bench: Bench, *arguments: str, program: str = _COMMAND) -> "subprocess.Popen[str]":
    """The command, in a shell that configures the database."""
    environment = {
        **os.environ,
        "BATCHORD_DATABASE_URL": by("ledger", bench.url),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{_PACKAGES}",
    }
    return subprocess.Popen(
        [sys.executable, "-c", program, "export", ITEMS, *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(bench: Bench, *arguments: str, program: str = _COMMAND) -> str:
    """What the command printed; it must succeed."""
    process = started(bench, *arguments, program=program)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert errors == ""
    return output


def seen(reader: str) -> Any:
    """What a program that prints JSON reads in the file, with pyarrow and DuckDB."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import json, duckdb, pandas as pd, pyarrow.parquet as pq\nprint(json.dumps({reader}))",
        ],
        env={**os.environ, "PYTHONPATH": str(_PACKAGES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_parquet_has_columns_for_keys_of_the_output(bench: Bench) -> None:
    """With their types: lists are lists, and a number with a fixed number of digits is exact."""
    kinds = {"vector": "real[]", "price": "numeric(8,2)", "day": "date", "well": "boolean", "tags": "text[]"}
    columns = ", ".join(f"ADD COLUMN {name} {kind}" for name, kind in kinds.items())
    table = bench.table()
    bench.sql(f"ALTER TABLE {table} {columns}")
    bench.sql("SELECT batchord.add_outputs(id, %s) FROM batchord.results", json.dumps(kinds))
    bench.sql(
        f"UPDATE {table} SET vector = '{{0.1,NULL}}', price = 0.10, day = '2026-01-02', well = true, tags = '{{a,b}}'"  # noqa: S608
    )
    ended(bench, "-o", "items.parquet", "--columns", ",".join(kinds))

    assert seen("{field.name: str(field.type) for field in pq.read_schema('items.parquet')}") == {
        "vector": "list<element: float>",
        "price": "decimal128(8, 2)",
        "day": "date32[day]",
        "well": "bool",
        "tags": "list<element: string>",
    }
    (row,) = seen("[[str(each) for each in duckdb.read_parquet('items.parquet').limit(1).fetchall()[0]]]")
    assert row[1:] == ["0.10", "2026-01-02", "True", "['a', 'b']"]
    assert row[0].startswith("[0.1")
    assert row[0].endswith(", None]")


def test_parquet_has_types(bench: Bench) -> None:
    """Numbers, times with their zone, JSON as text, NULL; pandas and DuckDB read the same."""
    odd = '=1 "é猫",\r\n'
    table = bench.table()
    bench.sql(f"UPDATE {table} SET label = %s, output = '{{\"p\": 0.1}}'", odd)  # noqa: S608
    bench.sql(f"INSERT INTO {table} (id, predicted_at, writer) SELECT 2, predicted_at, writer FROM {table}")  # noqa: S608
    ended(bench, "-o", "items.parquet")

    assert seen("{field.name: str(field.type) for field in pq.read_schema('items.parquet')}") == {
        "record_key": "int64",
        "label": "string",
        "score": "double",
        "output": "string",
        "model_version": "string",
        "run_id": "string",
        "predicted_at": "timestamp[us, tz=UTC]",
    }
    at = bench.value("SELECT predicted_at FROM batchord.predictions LIMIT 1")
    (pandas_at,) = seen("[pd.read_parquet('items.parquet')['predicted_at'].iloc[0].isoformat()]")
    assert pd.Timestamp(pandas_at) == at
    assert seen("duckdb.read_parquet('items.parquet').select('record_key', 'label', 'score', 'output').fetchall()") == [
        [1, odd, 1.0, '{"p": 0.1}'],
        [2, None, None, None],
    ]
    frame = seen("pd.read_parquet('items.parquet')[['record_key', 'label', 'score']].astype(object).to_dict('list')")
    assert (frame["record_key"], frame["label"][0]) == ([1, 2], odd)


def test_a_parquet_file_without_rows_has_its_columns(bench: Bench) -> None:
    """As of a day on which nothing was predicted."""
    assert ended(bench, "-o", "a.parquet", "--since", "2999-01-01").startswith("a.parquet: 0 rows, ")
    assert seen("[pq.read_table('a.parquet').num_rows, len(pq.read_schema('a.parquet'))]") == [0, 7]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_rows(bench: Bench, ending: str) -> None:
    """150 MB of text pass through a process that takes hardly more than for one row."""
    peaks = []
    for rows in (1, _MANY):
        if rows > 1:
            many(bench)
        ended(bench, "-o", f"{rows}.{ending}", program=_MEASURED)
        peaks.append(int(Path("peak").read_text()))

    assert peaks[1] - peaks[0] < _MOST_KIB[ending]
    if ending == "parquet":
        file = "pq.ParquetFile('100000.parquet').metadata"
        groups = seen(f"[{file}.row_group(at).num_rows for at in range({file}.num_row_groups)]")
        assert sum(groups) == _MANY
        assert max(groups) < _MANY / 5
    else:
        assert Path(f"{_MANY}.{ending}").stat().st_size > _MANY * _LONG


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_ctrl_c_leaves_no_file(bench: Bench, tmp_path: Path, ending: str) -> None:
    """And the older one as it was."""
    many(bench)
    file = tmp_path / f"items.{ending}"
    file.write_text("old")
    process = started(bench, "-o", str(file), "--force")
    wait_until(lambda: list(tmp_path.glob(".*.part")), description="rows are being written", interval=0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (130, "\nInterrupted. No file was written.\n")
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == [file.name]
    assert file.read_text() == "old"


def test_a_reader_that_goes_away_ends_it_quietly(bench: Bench) -> None:
    """As with `| head`."""
    many(bench)
    with started(bench, "-o", "-", "--format", "csv") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("record_key,")
        process.stdout.close()

        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 1
