"""The ledger, the log and `batchord show` have the first error of the author's code in each attempt."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import failures, history, output
from app.cli.terminal import Terminal
from batchord import FunctionModel, Python
from batchord.core.run.failures import Failure
from batchord.core.run.runs import Run, RunState
from batchord.flow.attempt import log as attempt_log
from batchord.flow.begin.repair import retry_rejections
from batchord.flow.begin.rerun import rerun
from batchord.output import masking
from batchord.reports.run import detail_of
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, STEP, Bench, length
from tests.integration.graph_parts import declare_graph, ran

HERE = f"tests/integration/{Path(__file__).name}"
WORD = "known-here-1"
SOURCE = SqlSource("SELECT id, body, 'private' || id AS note FROM records", key="id")


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Twelve records, a log for each attempt, and a secret. Commands read this ledger."""
    monkeypatch.setattr(masking, "_known", (WORD,))
    attempt_log.install()
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)
        monkeypatch.setattr("batchord.wiring.ledger", lambda: bench.ledger)
        yield bench
    attempt_log.uninstall()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 80 columns gets."""
    written = io.StringIO()
    for module in (output, history, failures):
        monkeypatch.setattr(module, "console", Terminal(width=80, file=written))
    return written


def _refuse(count: int) -> None:
    raise ValueError(f"{count} letters are refused by {WORD}")


def refusing(frame: Any) -> Any:
    """Raises for records with three and with nine letters."""
    for count in frame["body"].str.len():
        if count in (3, 9):
            _refuse(count)
    return length(frame)


def broken(_: Any) -> Any:
    """Raises for every record."""
    raise KeyError("price")


def kept(bench: Bench, run: Run) -> list[Failure]:
    """The failures of a run's attempts."""
    rows = bench.column("SELECT failure FROM batchord.attempts WHERE run_id = %s AND failure IS NOT NULL", run.id)
    return [Failure.from_json(row) for row in rows]


def logged(bench: Bench, run: Run) -> str:
    """All lines of a run's logs."""
    return "\n".join(line.message for part in bench.ledger.logs.read(run.id) for line in part.lines)


def test_a_shard_keeps_its_first_failure(bench: Bench) -> None:
    """Only the first, with its line and the columns, without secrets and without values; the shard succeeds."""
    bench.declare(FunctionModel(refusing, version="1"), source=SOURCE, batch_rows=6)

    run = bench.run(parallelism=1)

    assert (run.state, run.rejected) == (RunState.SUCCEEDED, 2)
    (failure,) = kept(bench, run)
    line = _refuse.__code__.co_firstlineno + 1
    assert (failure.key, failure.place, failure.error) == (
        "3",
        f"{HERE}:{line}",
        "ValueError: 3 letters are refused by ***",
    )
    assert failure.columns == {"body": "str", "note": "str"}
    first, *lines = failure.traceback.splitlines()
    assert first == "Traceback (most recent call last):"
    assert lines[0] == f'  File "{__file__}", line {refusing.__code__.co_firstlineno + 4}, in refusing'
    assert lines[-1] == failure.error
    for text in (failure.traceback, logged(bench, run), *bench.column("SELECT detail FROM batchord.rejections")):
        assert WORD not in text
        assert "private" not in text


def test_the_log_has_the_same_once(bench: Bench) -> None:
    """Further records for which the model raises are in the table of rejections."""
    bench.declare(FunctionModel(refusing, version="1"), source=SOURCE, batch_rows=6)

    run = bench.run(parallelism=1)

    (failure,), text = kept(bench, run), logged(bench, run)
    assert text.count("The model raised for record") == 1
    assert f"The model raised for record 3 at {failure.place}: {failure.error}" in text
    assert "Its frame has the columns: body (str), note (str)." in text
    assert failure.traceback in text


def test_a_shard_that_fails_keeps_it_too(bench: Bench) -> None:
    """The error names no log, and no sentence ends with two full stops."""
    bench.declare(FunctionModel(broken, version="1"))

    run = bench.run(parallelism=1)

    assert run.state is RunState.FAILED
    (failure,) = kept(bench, run)
    assert (failure.key, failure.error) == ("1", "KeyError: 'price'")
    texts = [str(text) for text in (run.error, *bench.column("SELECT error FROM batchord.shards"))]
    assert not [text for text in texts if re.search(r"(?<!\.)\.\.(?!\.)", text)]


def test_an_error_that_ends_with_a_full_stop_ends_with_one() -> None:
    """In the sentences around it, too."""
    from batchord.core.errors import ModelError
    from batchord.flow.predict.isolate import predict_isolating
    from tests.unit.flow.predict.frames import FunctionOfFrames, prepared_of

    def fail(_: Any) -> Any:
        raise ValueError("The list has no price.")

    with pytest.raises(ModelError) as raised:
        predict_isolating(FunctionOfFrames(fail), prepared_of(["a", "b"]))

    assert ".." not in str(raised.value)


def test_a_failing_function_keeps_its_traceback(bench: Bench, screen: io.StringIO) -> None:
    """From the author's first line on; `show` says where it is."""

    def breaks() -> None:
        _refuse(5)

    declare_graph(bench, Python(STEP, breaks))

    run = ran(bench)

    (failure,) = kept(bench, run)
    line = _refuse.__code__.co_firstlineno + 1
    assert (failure.place, failure.key, failure.columns) == (f"{HERE}:{line}", None, None)
    assert failure.traceback in logged(bench, run)
    assert CliRunner().invoke(history.show, [run.id]).exit_code == 0
    told = screen.getvalue()
    assert f"Your code raised an error at {failure.place}:" in told.replace("\n", "")
    assert "ValueError: 5 letters are refused by ***" in told
    assert "batchord try" not in told


def test_an_error_that_is_not_the_authors_is_no_failure(bench: Bench) -> None:
    """A step that returns what cannot be stored raises nothing itself."""
    declare_graph(bench, Python(STEP, lambda: {1, 2}))

    assert kept(bench, ran(bench)) == []


def test_show_and_rejections_name_the_next_steps(bench: Bench, screen: io.StringIO) -> None:
    """With the record's key, the step and the pipeline; the failures of several attempts at a line are one."""
    bench.declare(FunctionModel(refusing, version="1"), source=SOURCE, batch_rows=2, shard_rows=6)
    run = bench.run()
    groups = detail_of(bench.ledger, run).failures
    assert [(group.attempts, group.first.key) for group in groups] == [(2, "3")]

    for command, arguments in ((history.show, [run.id]), (history.rejections, [])):
        screen.truncate(0)
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 0, result.exception
        told = screen.getvalue()
        assert f"`batchord try {ITEMS} --step {STEP} --key " in told
        assert f"`batchord retry {ITEMS}`" in told
    screen.truncate(0)
    CliRunner().invoke(history.show, [run.id])
    told = screen.getvalue()
    assert "First error in your code: step score, shard 0, attempt 1, and 1 more attempt" in told
    assert "Columns of the frame: body (str), note (str)" in told
    assert "raise ValueError" in told


def test_the_records_of_a_failed_shard_are_pending_and_a_rerun_takes_them(bench: Bench, screen: io.StringIO) -> None:
    """They are not rejected, so `retry` would not find them."""
    bench.declare(FunctionModel(broken, version="1"), source=SOURCE, shard_rows=6)
    run = bench.run()

    assert CliRunner().invoke(history.show, [run.id]).exit_code == 0

    told = " ".join(screen.getvalue().split())
    assert (run.state, len(bench.outcomes())) == (RunState.FAILED, 0)
    assert "`batchord retry" not in told
    assert "The records of a failed shard are pending, not rejected." in told
    assert re.search(rf"the next run takes them; `batchord rerun {run.id[:8]}\S* --failed` does now", told)
    assert retry_rejections(bench.parts(), pipeline=ITEMS)[0] is None

    bench.declare(FunctionModel(length, version="2"), source=SOURCE, shard_rows=6)
    again, messages = rerun(bench.parts(), run_id=run.id, failed=True)
    assert bench.run_on(again.id, messages).predicted == 12


def test_a_failed_step_of_another_kind_is_repeated(bench: Bench, screen: io.StringIO) -> None:
    """It has no records."""

    def breaks() -> None:
        _refuse(5)

    declare_graph(bench, Python(STEP, breaks))
    run = ran(bench)
    assert CliRunner().invoke(history.show, [run.id]).exit_code == 0
    told = " ".join(screen.getvalue().split())
    assert re.search(rf"`batchord rerun {run.id[:8]}\S* --failed` repeats the failed steps\.", told)
    assert "pending" not in told.partition("After a fix")[2]
