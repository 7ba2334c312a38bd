"""Nothing that the ledger keeps for people holds a secret that this process knows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchord import Bash, Python
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError
from batchord.core.reasons import LossCause
from batchord.flow.attempt import log as attempt_log
from batchord.flow.begin.start import start_run
from batchord.output import masking
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench

WORD = "known-here-1"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\n-----END PRIVATE KEY-----"
#: All that people read. A step's value, parameters and predictions are data: they stay as they are.
TEXTS = {
    "runs": "error, summary::text",
    "steps": "error",
    "shards": "error",
    "attempts": "error",
    "rejections": "detail",
    "alerts": "title, message, error",
    "incidents": "message",
    "attempt_logs": "lines::text",
}


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Ten records, a log for each attempt, and one secret."""
    monkeypatch.setattr(masking, "_known", (WORD,))
    attempt_log.install()
    with Bench(database_url, tmp_path) as bench:
        bench.insert(10)
        yield bench
    attempt_log.uninstall()


def refuse(frame: Any) -> Any:
    """Says why it cannot predict one of the records."""
    if 3 in set(frame["body"].str.len()):
        raise ValueError(f"postgresql://u:{WORD}@h refused it, {WORD}; {KEY}")
    return frame["body"].str.len()


def fail() -> None:
    """Tells of a secret in each way that it has."""
    raise ValueError(f"{WORD} and {KEY}")


def all_texts(bench: Bench) -> str:
    """All texts that people read, as one text."""
    rows = [bench.sql(f"SELECT {columns} FROM batchord.{table}") for table, columns in TEXTS.items()]  # noqa: S608
    return repr(rows)


def test_the_ledger_tells_no_secret(bench: Bench) -> None:
    """Of rejections, failed steps, commands, lost workers, alerts and logs."""
    script = f"printf '%s\\n' '{KEY}' >&2; echo {WORD}; echo {WORD} >&2; exit 1"
    steps = [
        Predict(STEP, source=RECORDS, model=refuse),
        Python("python", fail, after=STEP),
        Bash("bash", script, after=STEP),
    ]
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, steps=steps)
    run = bench.run()
    bench.insert(1)
    later, messages = bench.planned()
    bench.claim(later)
    bench.ledger.shards.lose(later, STEP, 0, worker="test:1", cause=LossCause.KILLED, error=f"lost: {WORD}")

    assert str(run.state) == "failed"
    assert messages
    text = all_texts(bench)
    assert WORD not in text
    assert "MIIE" not in text
    assert text.count("***") > 6


@pytest.mark.parametrize("trigger", ["[/oops]", "a\nb", "", "x" * 101])
def test_a_trigger_that_is_no_name_is_refused(bench: Bench, trigger: str) -> None:
    """No run is opened, and the error says what to use instead."""
    bench.declare()

    with pytest.raises(ConfigurationError, match="such as nightly-import") as refused:
        start_run(bench.parts(), pipeline=ITEMS, trigger=trigger)

    assert "\n" not in str(refused.value)
    assert bench.value("SELECT count(*) FROM batchord.runs") == 0
