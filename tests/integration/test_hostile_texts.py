"""Every command prints texts of records, models, authors and callers unchanged and without terminal controls."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from psycopg.types.json import Jsonb

from app import cli
from app.cli import (
    audits,
    check,
    checks,
    config,
    convert,
    dry_run,
    export,
    history,
    interventions,
    metrics,
    new,
    report,
    reset,
    run,
    stack,
    switches,
    top,
    trust,
    upkeep,
    why,
)
from app.cli import changes as history_of_changes
from app.cli import logs as kept_logs
from app.cli.terminal import Terminal
from batchord import Python
from batchord.catalog import Problem
from batchord.catalog.reading import Loaded
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.flow.attempt import log as attempt_log
from batchord.reports.stack import ProcessReport, ServerReport, StackReport
from batchord.settings import Settings
from batchord.sources.sql import SqlSource
from batchord.sources.sql.table_reading import describe_table
from tests.contracts import small_models
from tests.integration.flow_parts import Bench
from tests.integration.odd_texts import FORGED, ODD, STEERING

SOURCE = SqlSource("SELECT name, body FROM odd", key="name")


def say(frame: Any) -> Any:
    """Labels are the records' texts; of one it cannot say any."""
    if "break" in set(frame["body"]):
        raise ValueError(FORGED)
    return frame["body"]


def fail() -> None:
    """Prints and raises."""
    sys.stdout.write(f"{FORGED}\n")
    raise ValueError(FORGED)


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A run that failed with all of it in its rows; the commands' parts are this test's."""
    attempt_log.install()
    with Bench(database_url, tmp_path) as bench:
        bench.sql("CREATE TABLE odd (name text PRIMARY KEY, body text)")
        bench.sql("INSERT INTO odd VALUES (%s, %s), (%s, 'break'), ('c', 'good')", FORGED, FORGED, f"2{FORGED}")
        steps = [Predict("score", source=SOURCE, model=say), Python("fail", fail, after="score")]
        declared = Pipeline("odd", steps=steps, description=FORGED)
        bench.catalog.pipelines["odd"] = declared
        bench.run("odd")
        # What is refused today, and may stand in rows of before.
        for column, table in (("trigger", "runs"), ("worker", "shards"), ("worker", "attempts"), ("queue", "steps")):
            bench.sql(f"UPDATE batchord.{table} SET {column} = %s", FORGED)  # noqa: S608
        bench.sql("UPDATE batchord.attempts SET error = %s, state = 'failed'", FORGED)
        bench.sql("INSERT INTO odd VALUES (%s, 'new')", f"3{FORGED}")
        problems = [Problem(file=f"{ODD}.py", pipeline=None, what=FORGED)]
        loaded = Loaded(pipelines={"odd": declared}, files={"odd": f"{ODD}.py"}, problems=problems)
        catalog = SimpleNamespace(
            loaded=loaded, folder=ODD, problems=problems, get=bench.catalog.get, names=bench.catalog.names
        )
        monkeypatch.setattr("batchord.wiring.ledger", lambda: bench.ledger)
        monkeypatch.setattr("batchord.wiring.parts", bench.parts)
        monkeypatch.setattr("batchord.wiring.catalog", lambda: catalog)
        monkeypatch.setattr("batchord.wiring.log_store", lambda: bench.ledger.logs)
        monkeypatch.setattr(interventions, "publish", lambda _: None)
        yield bench
    attempt_log.uninstall()


def output_of(command: Any, *arguments: str) -> str:
    """The output of a command on both streams, for any exit code."""
    result = CliRunner().invoke(command, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


def status(_: Bench) -> str:
    """Of a stack whose processes and files are called so."""
    server = ServerReport(name=ODD, state=ODD, pid=1, address=FORGED)
    process = ProcessReport(name=ODD, state=ODD, pid=1, restarts=1, uptime=1.0)
    problem = Problem(file=ODD, pipeline=None, what=FORGED)
    report = StackReport(
        servers=[server],
        processes=[process],
        flower=ODD,
        problems=[problem],
        remarks=[FORGED],
        database_usable=True,
    )
    console = Terminal(width=180)
    with console.capture() as captured, pytest.MonkeyPatch.context() as patch:
        for module in (stack, stack.print_problems.__globals__):
            setter = patch.setitem if isinstance(module, dict) else patch.setattr
            setter(module, "console", console)  # type: ignore[operator]
        stack._print_status(report)  # noqa: SLF001
    return captured.get()


def twice(bench: Bench) -> str:
    """What an audit finds: a record that is predicted is rejected as well."""
    bench.sql(
        "INSERT INTO batchord.rejections (pipeline, step, record_key, model_version, reason, detail, attempts, run_id, "
        "shard) SELECT pipeline, step, record_key, model_version, 'odd', '', 1, run_id, shard FROM batchord.predictions"
    )
    return output_of(checks.audit)


def changes(bench: Bench) -> str:
    """What callers of the API of Flower, and other machines, may have called themselves."""
    output_of(switches.pause, "odd")
    bench.sql("UPDATE batchord.history SET by_user = %s, by_host = %s, action = %s, way = %s", *[ODD] * 4)
    bench.sql("UPDATE batchord.history SET pipeline = %s, detail = %s", ODD, Jsonb({ODD: FORGED}))
    return output_of(history_of_changes.history)


def drafted(bench: Bench) -> str:
    """A draft over a table with such a column."""
    bench.sql(f'CREATE TABLE drafted (id bigint PRIMARY KEY, "{FORGED}" text)')
    folder = bench.parts().settings.home / "drafts"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batchord.settings.settings", lambda: Settings(pipelines=folder))
        patch.setattr("batchord.wiring.describe_table", lambda name: describe_table(bench.url, name))
        return output_of(new.new, "drafted", "--table", "drafted")


def checked(bench: Bench) -> str:
    """A file that raises such a text, for people and for GitHub."""
    folder = bench.parts().settings.home / "checked"
    folder.mkdir()
    (folder / "a.py").write_text(f"raise ValueError({FORGED!r})")
    with pytest.MonkeyPatch.context() as patch:
        for module in ("batchord.settings", "batchord.wiring"):
            patch.setattr(f"{module}.settings", lambda: Settings(pipelines=folder))
        return output_of(check.check) + output_of(check.check, "--format", "github")


def pickled(bench: Bench) -> str:
    """A pickle with such names, in a file of such a name."""
    file = bench.parts().settings.home / FORGED.replace("/", "")
    texts = [b"\x8c" + bytes([len(each.encode())]) + each.encode() for each in (FORGED, ODD)]
    file.write_bytes(b"\x80\x04" + b"".join(texts) + b"\x93" + b"".join(texts[::-1]) + b"\x93.")
    return output_of(trust.trust, str(file))


def converted(bench: Bench) -> str:
    """A model in a file of such a name, for one of such a name."""
    place = bench.parts().settings.home / FORGED.replace("/", "")
    file = small_models.save_sklearn_classifier(place.with_name(f"{place.name}.pkl"))
    target = f"{place}.skops"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batchord.settings.settings", lambda: Settings(pipelines=place.parent / "none"))
        return output_of(convert.convert, str(file), "-o", target, "--trust", small_models.digest_of(file))


def settings_of(_: Bench) -> str:
    """A value and a wrong one of an environment that somebody else wrote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATCHORD_S3_REGION", ODD)
        patch.setenv("BATCHORD_LOG_FORMAT", FORGED)
        return output_of(config.config)


def exported(bench: Bench) -> str:
    """The rows on a terminal, and the line about a file of such a name."""
    folder = bench.parts().settings.home / "exported"
    folder.mkdir()
    printed = output_of(export.export, "odd", "-o", str(folder / FORGED.replace("/", "")), "--format", "csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_is_terminal", lambda: True)
        rows = [output_of(export.export, "odd", "-o", "-", "--format", each) for each in ("csv", "jsonl")]
    return "".join([printed, *rows])


def newest(bench: Bench) -> str:
    """The id of the run that failed."""
    return str(bench.value("SELECT id::text FROM batchord.runs ORDER BY created_at LIMIT 1"))


def tried(bench: Bench) -> str:
    """Predictions and a rejection of a file without problems."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batchord.wiring.catalog", lambda: bench.catalog)
        return output_of(dry_run.try_, "odd")


def ended(bench: Bench) -> str:
    """Nothing; no run is open any more."""
    bench.sql("UPDATE batchord.runs SET state = 'cancelled', finished_at = now() WHERE finished_at IS NULL")
    return ""


#: Every command, with the data that it may print; None: it prints nothing but Batchord's own words.
COMMANDS: dict[str, Callable[[Bench], str] | None] = {
    "up": status,
    "down": None,
    "status": status,
    "migrate": None,
    "new": drafted,
    "check": checked,
    "trust": pickled,
    "convert": converted,
    "pipelines": lambda _: output_of(checks.pipelines),
    "plan": lambda _: output_of(checks.plan, "odd"),
    "try": tried,
    "why": lambda _: output_of(why.why, "odd", f"2{FORGED}"),
    "audit": twice,
    "audits": lambda _: output_of(audits.audits),
    # What its author prints in this very process is the author's own.
    "run": lambda _: output_of(run.run, "odd", "--local").replace(f"{FORGED}\n", "", 1),
    "runs": lambda _: output_of(history.runs),
    "show": lambda bench: output_of(history.show, newest(bench)),
    "report": lambda bench: output_of(report.report, newest(bench), "-o", str(bench.parts().settings.home / "r.html")),
    "top": lambda _: output_of(top.top),
    "export": exported,
    "rejections": lambda _: output_of(history.rejections),
    "logs": lambda bench: output_of(kept_logs.logs, newest(bench)) + output_of(kept_logs.logs, newest(bench), "--json"),
    "retry": lambda _: output_of(interventions.retry, "odd") + output_of(interventions.retry, "odd", "--key", ODD),
    "rerun": lambda bench: output_of(interventions.rerun, newest(bench)[:35]),
    "cancel": lambda bench: output_of(interventions.cancel, newest(bench)),
    "pause": lambda _: output_of(switches.pause, "odd"),
    "resume": lambda _: output_of(switches.resume, "odd"),
    "schedule": lambda _: output_of(switches.schedule),
    "alerts": lambda _: output_of(upkeep.alerts) + output_of(upkeep.alerts, "--test"),
    "metrics": lambda _: output_of(metrics.metrics),
    "prune": lambda _: output_of(upkeep.prune),
    "history": changes,
    "config": settings_of,
    "completion": None,
    "reset": lambda bench: ended(bench) + output_of(reset.reset, "odd", "--yes"),
}
#: Commands that print texts of a record, a model, an author or a caller.
TELLING = {
    "new",
    "check",
    "trust",
    "try",
    "why",
    "up",
    "status",
    "pipelines",
    "run",
    "runs",
    "show",
    "export",
    "rejections",
    "logs",
    "alerts",
    "audit",
    "history",
    "config",
}


def test_every_command_prints_odd_texts_as_they_are(bench: Bench) -> None:
    """None fails, none obeys; markup and emoji codes stay text; a line end in a text begins no line of its own."""
    assert set(COMMANDS) == set(cli._COMMANDS)  # noqa: SLF001 -- a command that is added must be tried here
    for name, command in COMMANDS.items():
        printed = "" if command is None else command(bench)
        assert not STEERING.search(printed), (name, printed)
        assert not re.search(r"^\s{0,2}forged", printed, re.MULTILINE), (name, printed)
        if name in TELLING:
            whole = re.sub(r"\s+", "", printed)
            assert "[/oops]" in whole, (name, printed)
            assert ":smile:" in whole, (name, printed)


def test_json_means_the_same(bench: Bench) -> None:
    """Programs get every character, and none in it steers the terminal that shows it."""
    run_id = newest(bench)
    lines = [json.loads(line) for line in output_of(kept_logs.logs, run_id, "--json").splitlines()]
    # Of a progress bar, which returns to the beginning of its line, its last state is kept.
    assert {"forged line"} <= {line["message"] for line in lines}
    assert any(FORGED in line["message"] for line in lines)
    assert json.loads(output_of(history.rejections, "--json"))[0]["key"] == f"2{FORGED}"
    assert json.loads(output_of(history.runs, "--json"))[0]["trigger"] == FORGED
