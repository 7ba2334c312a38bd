"""Values that steps pass to later steps, and facts of the run that they can read."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batchord import Branch, Python, Sql
from batchord.core.calendar.schedules import every
from batchord.core.declared.context import MOST_OUTPUT_BYTES
from batchord.core.run.runs import RunState
from batchord.flow.begin.backfill import fill_windows
from batchord.flow.begin.start import tick
from tests.integration.flow_parts import ITEMS, Bench
from tests.integration.graph_parts import bash, declare_graph, error, history, ran, states, value

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]
CYCLE: list[Any] = []
CYCLE.append(CYCLE)
_READ = (
    "SELECT CAST(:run_id AS text) AS run_id, :pipeline AS pipeline, CAST(:slot AS timestamptz) AS slot, "
    "CAST(:window_start AS timestamptz) AS window_start, CAST(:window_end AS timestamptz) AS window_end, :city AS city"
)
_TELL = (
    'echo "$BATCHORD_PIPELINE $BATCHORD_STEP $BATCHORD_ATTEMPT $BATCHORD_SLOT $BATCHORD_WINDOW_START '
    '$BATCHORD_WINDOW_END $BATCHORD_PARAMS"'
)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No records."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def test_each_kind_hands_on_what_it_came_to(bench: Bench) -> None:
    """A function's value, rows, a last line or a choice. Later steps read them by name from any earlier step."""
    seen: dict[str, Any] = {}

    def read(run: Any) -> None:
        seen["python"] = run["python"].value
        seen["python part"] = run["python"]["rows"]
        seen["sql"] = run["sql"]["rows"]
        seen["bash"] = run["bash"]["last_line"]
        seen["branch"] = run["which"].value

    declare_graph(
        bench,
        Python("python", lambda: {"rows": [1, 2.5, None, "ä€😀"]}),
        Sql("sql", "SELECT 7 AS n, 'x' AS what", after=["python"]),
        bash("bash", "echo first; echo last", "sql"),
        Branch("which", lambda: "read", after=["bash"]),
        Python("read", read, after=["which"]),
    )
    run = ran(bench)
    assert run.state is RunState.SUCCEEDED, run.error
    assert seen == {
        "python": {"rows": [1, 2.5, None, "ä€😀"]},
        "python part": [1, 2.5, None, "ä€😀"],
        "sql": [{"n": 7, "what": "x"}],
        "bash": "last",
        "branch": ["read"],
    }


def test_a_step_sees_only_what_is_before_it(bench: Bench) -> None:
    """A step beside it may have ended or not, so its values would differ from run to run."""
    seen: list[list[str]] = []
    declare_graph(
        bench,
        Python("a", lambda: 1),
        Python("beside", lambda: 2),
        Python("b", lambda run: seen.append(sorted(run)), after=["a"]),
    )
    ran(bench)
    assert seen == [["a"]]


def test_bash_reads_outputs_from_a_file(bench: Bench) -> None:
    """More than an environment variable can hold, gone when the step is over."""
    declare_graph(
        bench,
        Python("big", lambda: "x" * 60_000),
        Python("also", lambda: {"n": 1}),
        bash("count", 'wc -c < "$BATCHORD_OUTPUTS"; echo "$BATCHORD_OUTPUTS"', "big", "also"),
        bash("read", 'grep -o \'"n": 1\' "$BATCHORD_OUTPUTS"', "also"),
    )
    run = ran(bench)
    assert run.state is RunState.SUCCEEDED, run.error
    assert value(bench, run.id, "read")["last_line"] == '"n": 1'
    assert not Path(value(bench, run.id, "count")["last_line"]).exists()


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("x" * MOST_OUTPUT_BYTES, "65,549 bytes of JSON; a step may hand on at most 65,536"),
        ({"share": float("nan")}, "Out of range float values"),
        ([float("inf")], "Out of range float values"),
        ("a\0b", "NUL character"),
        ({"\0": 1}, "NUL character"),
        ("a\ud800b", "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ({"when": NOON}, "datetime is not JSON serializable"),
        ({(1, 2): 3}, "keys must be"),
        (b"bytes", "bytes is not JSON serializable"),
        (DEEP, "recursion"),
        (CYCLE, "Circular reference"),
    ],
    ids=["large", "nan", "inf", "nul", "nul key", "surrogate", "surrogate key", "time", "key", "bytes",
         "deep", "cycle"],
)  # fmt: skip
def test_what_cannot_be_handed_on_ends_the_step(bench: Bench, returned: Any, said: str) -> None:
    """The error says what to return instead. There is no other attempt, and independent steps go on."""
    declare_graph(
        bench,
        Python("bad", lambda: returned),
        Python("beside", lambda: "fine"),
        Python("behind", lambda: None, after=["bad"]),
    )
    run = ran(bench)
    assert states(bench, run.id) == {"bad": "failed", "beside": "done", "behind": "upstream_failed"}
    assert said in error(bench, run.id, "bad")
    assert [state for state, _, _ in history(bench, run.id, "bad")] == ["failed"]
    assert run.state is RunState.FAILED


@pytest.mark.parametrize(
    "returned", [r"a\u0000b", r"\ud800", "\\", "😀", "x" * (MOST_OUTPUT_BYTES - 13), 10**300, {}, ""]
)
def test_what_only_looks_dangerous_is_handed_on(bench: Bench, returned: Any) -> None:
    """A backslash and digits are a text like any other."""
    declare_graph(bench, Python("a", lambda: returned))
    run = ran(bench)
    assert (run.state, value(bench, run.id, "a")) == (RunState.SUCCEEDED, returned), run.error


def test_an_error_with_any_characters_is_kept(bench: Bench) -> None:
    """NUL and lone surrogates are written visibly, in the step, its attempt and the run."""

    def broken() -> None:
        raise ValueError("a\0b\ud800c")

    declare_graph(bench, Python("bad", broken))
    run = ran(bench)
    assert run.error == r"step bad: ValueError: a\u0000b\ud800c"
    assert history(bench, run.id, "bad")[0][2] == r"ValueError: a\u0000b\ud800c"


def test_every_kind_reads_slot_window_and_parameters(bench: Bench) -> None:
    """A scheduled run's: the slot, and the window that ends with it."""
    seen: list[Any] = []
    declare_graph(
        bench,
        Python("python", lambda run: seen.append((run.kind, run.slot, run.window_start, run.window_end, run.attempt))),
        bash("bash", _TELL),
        Sql("sql", _READ, params={"city": "Ulm"}),
        schedule=every(hours=1),
    )
    (run,), messages = tick(bench.parts(), pipeline=ITEMS, now=NOON + timedelta(minutes=5))
    assert bench.run_on(run.id, messages).state is RunState.SUCCEEDED
    hour = timedelta(hours=1)
    assert seen == [("scheduled", NOON, NOON - hour, NOON, 1)]
    noon, before = NOON.isoformat(), (NOON - hour).isoformat()
    assert value(bench, run.id, "bash")["last_line"] == f"items bash 1 {noon} {before} {noon} {{}}"
    (row,) = value(bench, run.id, "sql")["rows"]
    assert (row["run_id"], row["pipeline"], row["city"]) == (run.id, ITEMS, "Ulm")
    read = [datetime.fromisoformat(row[name]) for name in ("slot", "window_start", "window_end")]
    assert read == [NOON, NOON - hour, NOON]


def test_parameters_reach_every_kind(bench: Bench) -> None:
    """They arrive unchanged, with their quotes. A step's own parameters override the run's."""
    params = {"city": 'O\'Fallon "$HOME" ; rm -rf /', "deep": {"n": [1]}}
    seen: list[Any] = []
    declare_graph(
        bench,
        Python("python", lambda run: seen.append(dict(run.params))),
        bash("bash", 'echo "$BATCHORD_PARAMS"'),
        Sql("sql", "SELECT :city AS city, :deep -> 'n' AS n"),
        Sql("own", "SELECT :city AS city", params={"city": "Ulm"}),
    )
    run = ran(bench, params=params)
    assert run.state is RunState.SUCCEEDED, run.error
    assert seen == [params]
    assert json.loads(value(bench, run.id, "bash")["last_line"]) == params
    assert value(bench, run.id, "sql")["rows"] == [{"city": params["city"], "n": [1]}]
    assert value(bench, run.id, "own")["rows"] == [{"city": "Ulm"}]


def test_a_backfill_reads_the_window_that_was_asked_for(bench: Bench) -> None:
    """It has no slot: it was not the schedule's time."""
    seen: list[Any] = []
    declare_graph(bench, Python("a", lambda run: seen.append((run.kind, run.slot, run.window_start, run.window_end))))
    (run,), messages = fill_windows(bench.parts(), pipeline=ITEMS, start=NOON, end=NOON + timedelta(days=1))
    bench.run_on(run.id, messages)
    assert seen == [("backfill", None, NOON, NOON + timedelta(days=1))]


def test_a_statement_that_names_what_is_not_there_ends_the_step(bench: Bench) -> None:
    """A parameter that the run was not given: the message lists those there are."""
    declare_graph(bench, Sql("sql", "SELECT :city"))
    run = ran(bench)
    assert run.state is RunState.FAILED
    assert "The parameters are: pipeline, run_id, slot, window_end, window_start" in error(bench, run.id, "sql")


def test_an_open_window_has_an_empty_start_for_a_command(bench: Bench) -> None:
    """A first run by hand looks back to the beginning of time, which is no date that a command could work with."""
    declare_graph(bench, bash("tell", 'echo "from [$BATCHORD_WINDOW_START] to [$BATCHORD_WINDOW_END]"'))
    first, second = ran(bench), ran(bench)

    start, end = (run.window_end for run in (first, second))
    assert start is not None
    assert end is not None
    assert value(bench, first.id, "tell")["last_line"] == f"from [] to [{start.isoformat()}]"
    assert value(bench, second.id, "tell")["last_line"] == f"from [{start.isoformat()}] to [{end.isoformat()}]"
