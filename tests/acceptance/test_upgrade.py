"""A stack of 0.1 goes on as one of this release: nothing is lost, and nothing is done twice."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from app.localstack import Server, start_servers, stop_background, superuser_url
from tests.acceptance.own_stack import OwnStack
from tests.acceptance.release_0_1 import kept_in_redis, put_into
from tests.exactly_once import Findings, findings
from tests.folders import servers_folder
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("upgrade")

#: Of `reviews`: one shard is done, two are half done, three wait in Redis.
OPEN_RUN = "01a22700-4fc2-75cc-9237-8996d6eacc89"
#: Of `orders`: its first step waits in Redis.
WAITING_RUN = "01a22700-6717-7748-a470-24a723ff84d8"
#: Of `reviews`: 28 predictions, two rejections.
ENDED_RUN = "01a226ff-b9cb-71ed-8b2e-4cf04c0b140e"
_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "upgrade.md"
#: Times that a test can wait for.
_SETTINGS = {
    "BATCHORD_PARALLELISM": "2",
    "BATCHORD_SWEEP_SECONDS": "1",
    "BATCHORD_WATCH_SECONDS": "1",
    "BATCHORD_RESEND_AFTER_SECONDS": "3",
    "BATCHORD_RETRY_BASE_SECONDS": "0.2",
    "BATCHORD_RETRY_CEILING_SECONDS": "1",
}
#: Of each table: what must be there afterwards as it was.
_LEFT = {
    "predictions": "SELECT to_jsonb(p) FROM batchord.predictions AS p",
    "rejections": "SELECT to_jsonb(r) FROM batchord.rejections AS r",
    # The sweeper tallies each of them once.
    "runs that ended": (
        "SELECT to_jsonb(r) - 'tallied' FROM batchord.runs AS r WHERE state NOT IN ('queued', 'running')"
    ),
    "logs": "SELECT to_jsonb(l) FROM batchord.attempt_logs AS l",
    "history": "SELECT to_jsonb(h) FROM batchord.history AS h",
    "switches": "SELECT name, schedule, paused_at FROM batchord.pipelines",
    "alerts": "SELECT id, event, title, message, created_at FROM batchord.alerts",
}
_OPEN = "SELECT id::text FROM batchord.runs WHERE state IN ('queued', 'running') ORDER BY 1"
_DUE = "SELECT slot FROM batchord.runs WHERE pipeline = 'reviews' AND kind = 'scheduled'"
_ATTEMPTS = "SELECT count(*) FROM batchord.attempts"
_POSITION = "SELECT position FROM batchord.frontiers WHERE pipeline = 'reviews'"


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """What the upgrade came to, and the stack that runs since."""

    stack: OwnStack
    #: The first ``batchord up``, over files that say ``from app import``.
    up: "subprocess.CompletedProcess[str]"
    #: What 0.1 left, by table.
    before: dict[str, list[Any]]
    #: The same while the files were broken and messages had come and gone.
    while_broken: dict[str, list[Any]]

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows, by the superuser."""
        return _rows(self.stack.home, query)

    def json(self, *arguments: str) -> Any:
        """What a command says to programs."""
        return json.loads(self.stack.batchord(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def upgrade() -> Iterator[Upgrade]:
    """As someone does it who does not read the page at first: starts, is told, corrects the files, and waits.

    Over 30 seconds: a whole stack is started and works off what was left.
    """
    home = servers_folder("batchord-upgrade-")
    project = home / "shop"
    try:
        put_into(home, project)
        stack = OwnStack(home, project / "pipelines", folder=project)
        stack.environment |= _SETTINGS
        start_servers(home, needs=[Server.POSTGRES])
        before = _left(home)
        up = stack.batchord("up")
        _wait_for_log(home, "worker", r"predict_shard\[.*retry", "batchord.run_step")
        _wait_for_log(home, "control", r"plan_step\[.*retry", r"start_run\[.*retry")
        while_broken = _left(home)
        _correct(project)
        _wait_for_the_end(home)
        yield Upgrade(stack=stack, up=up, before=before, while_broken=while_broken)
    finally:
        stop_background(home)
        shutil.rmtree(home)


def test_the_first_start_says_what_to_write(upgrade: Upgrade) -> None:
    """Everything runs, the ledger is migrated, and each file is named with its line and the new import."""
    assert upgrade.up.returncode == 1
    for line in ("digest.py: line 3: ", "letters.py: line 5: ", "orders.py: line 3: ", "reviews.py: line 9: "):
        assert line in upgrade.up.stdout
    assert upgrade.up.stdout.count("write `from batchord import …`") == 4
    versions = Path(__file__).parents[2] / "batchord" / "ledger" / "migrations" / "versions"
    newest = max(file.name[:4] for file in versions.glob("0*.py"))
    assert upgrade.sql("SELECT version_num FROM batchord.schema_version") == [(newest,)]
    status = upgrade.json("status")
    assert {each["state"] for each in [*status["servers"], *status["processes"]]} == {"running"}
    assert {each["restarts"] for each in status["processes"]} == {0}


def test_nothing_happens_while_the_files_are_broken(upgrade: Upgrade) -> None:
    """Messages come and go, but no attempt is counted, no run ends, and no row changes."""
    assert upgrade.while_broken | {"alerts": []} == upgrade.before | {"alerts": []}
    assert upgrade.while_broken["open runs"] == [(OPEN_RUN,), (WAITING_RUN,)]


def test_what_0_1_wrote_stays(upgrade: Upgrade) -> None:
    """Predictions, rejections, ended runs, logs, history, switches and alerts, row by row."""
    after = _left(upgrade.stack.home)
    for name in _LEFT:
        missing = [row for row in upgrade.before[name] if row not in after[name]]
        assert missing == [], name


def test_what_0_1_predicted_moves_into_the_tables_of_the_steps(upgrade: Upgrade) -> None:
    """Of each step that was planned since; the views show the same."""
    has_earlier = "SELECT count(*) FROM batchord.results WHERE has_earlier"
    wait_until(lambda: upgrade.sql(has_earlier) == [(0,)], description="all predictions have moved")
    moved = dict(upgrade.sql("SELECT pipeline, moved FROM batchord.results"))
    assert moved["reviews"] >= 28
    left = "SELECT DISTINCT pipeline FROM batchord.earlier_predictions JOIN batchord.results USING (pipeline, step)"
    assert upgrade.sql(left) == []
    assert [row for row in upgrade.before["predictions"] if row not in _left(upgrade.stack.home)["predictions"]] == []


def test_the_open_runs_end(upgrade: Upgrade) -> None:
    """Under the code that they were planned with: what their shards had predicted is not predicted again."""
    totals = "SELECT id::text, state, discovered, predicted, rejected FROM batchord.runs"
    ended = {run_id: rest for run_id, *rest in upgrade.sql(totals)}
    assert ended[OPEN_RUN] == ["succeeded", 60, 60, 0]
    assert ended[WAITING_RUN] == ["succeeded", 0, 0, 0]
    shards = upgrade.json("show", OPEN_RUN)["shards"]
    assert {(each["state"], each["planned"], each["predicted"]) for each in shards} == {("done", 10, 10)}
    assert {each["attempt"] for each in shards} == {1, 2}
    assert (WAITING_RUN,) in upgrade.sql("SELECT run_id::text FROM orders")


def test_each_record_has_one_outcome(upgrade: Upgrade) -> None:
    """Runs that came of late messages and of ticks find nothing new, and no slot has two runs."""
    with psycopg.connect(superuser_url(upgrade.stack.home)) as connection:
        for name, table in (("reviews", "reviews"), ("letters", "letters")):
            assert findings(connection, table, name) == Findings()
    later = upgrade.sql(
        "SELECT run.discovered FROM batchord.runs AS run, batchord.runs AS last WHERE run.created_at > last.created_at "
        "AND run.pipeline = 'reviews' AND last.pipeline = 'reviews' AND last.discovered = 60"
    )
    assert set(later) == {(0,)}
    asked_for = "SELECT count(*) FROM batchord.runs WHERE pipeline = 'digest' AND trigger = 'cli'"
    assert upgrade.sql(asked_for) == [(1,)], "it was sent three times"


def test_the_frontier_is_kept(upgrade: Upgrade) -> None:
    """It stands where 0.1 left it or above, and the next run would read nothing again."""
    (((before,),), ((after,),)) = upgrade.before["frontier"], upgrade.sql(_POSITION)
    assert (after[0]["datetime"], after[1]) >= (before[0]["datetime"], before[1])
    (step,) = upgrade.json("plan", "reviews")
    assert step["records"] == 0


def test_commands_show_what_0_1_did(upgrade: Upgrade) -> None:
    """Runs, one of them in full, its log, rejections, what a person changed, and alerts."""
    runs = {each["id"] for each in upgrade.json("runs", "--limit", "100")}
    assert {ENDED_RUN, OPEN_RUN, WAITING_RUN} < runs
    shown = upgrade.stack.batchord("show", ENDED_RUN).stdout
    assert "discovered 30 = predicted 28 + rejected 2" in shown
    assert "28 reviews have a mood" in upgrade.stack.batchord("logs", ENDED_RUN).stdout
    keys = {(each["pipeline"], each["key"]) for each in upgrade.json("rejections")}
    assert keys == {("reviews", "7"), ("reviews", "21"), ("letters", "2")}
    assert {"pause", "schedule", "run"} <= {each["action"] for each in upgrade.json("history", "--limit", "100")}
    assert "letters: too many rejections" in {each["title"] for each in upgrade.json("alerts", "--limit", "100")}


def test_the_commands_at_the_end_of_the_page_say_that_all_is_well(upgrade: Upgrade) -> None:
    """The files are sound, and the runs are listed."""
    last = re.findall(r"```bash\n(.*?)```", _PAGE.read_text(), re.DOTALL)[-1].split("\n")
    commands = [line.split()[1:] for line in last if line.strip()]
    assert commands == [["pipelines"], ["runs"]]
    for command in commands:
        done = upgrade.stack.batchord(*command)
        assert done.returncode == 0, done.stdout


def test_schedules_stay_as_they_were_changed(upgrade: Upgrade) -> None:
    """One pipeline is paused, one goes by its new schedule; beat has each entry once."""
    schedules = upgrade.json("schedule")
    assert schedules["letters"]["paused"]
    assert schedules["orders"]["schedule"] == "cron 15 4 * * * Europe/Berlin"
    with _redis(upgrade.stack.home) as server:
        entries = [name.rpartition("beat:")[2] for name in server.zrange("batchord:beat::schedule", 0, -1)]
    upkeep = ["audit", "prune", "sweep", "watch"]
    assert sorted(entries) == sorted([*upkeep, "pipeline:letters", "pipeline:orders", "pipeline:reviews"])
    log = (upgrade.stack.home / "logs" / "beat.log").read_text()
    assert log.count("Sending due task pipeline:letters") == 0


def test_no_message_of_0_1_was_misread(upgrade: Upgrade) -> None:
    """Each was understood, and no process met what it did not foresee."""
    for name in ("control", "worker", "beat"):
        log = (upgrade.stack.home / "logs" / f"{name}.log").read_text()
        # Without the further lines of an entry.
        lines = re.findall(r"^(?!  \| ).*(?:Traceback|\bERROR\b|cannot be understood).*$", log, re.MULTILINE)
        assert [line for line in lines if not re.search("write `from batchord import|UnknownPipeline", line)] == []


def _rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(superuser_url(home), autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def _left(home: Path) -> dict[str, list[Any]]:
    found = {name: sorted(_rows(home, query), key=str) for name, query in _LEFT.items()}
    return found | {
        "open runs": _rows(home, _OPEN),
        "attempts": _rows(home, _ATTEMPTS),
        "frontier": _rows(home, _POSITION),
    }


def _redis(home: Path) -> redis.Redis:
    address = json.loads((home / "servers.json").read_text())["redis_url"]
    return redis.Redis.from_url(address, decode_responses=True)


def _wait_for_log(home: Path, process: str, *patterns: str) -> None:
    log = home / "logs" / f"{process}.log"
    for pattern in patterns:
        description = f"{pattern} is in the log of {process}"
        wait_until(lambda pattern=pattern: re.search(pattern, log.read_text()), description=description, timeout=60)  # type: ignore[misc]


def _correct(project: Path) -> None:
    """By the command of the page."""
    (command,) = re.findall(r"^ *(grep .*sed.*)$", _PAGE.read_text(), re.MULTILINE)
    subprocess.run(["bash", "-c", command], cwd=project, check=True)


def _wait_for_the_end(home: Path) -> None:
    """No run is open, and no message of 0.1 is left in a queue or in a worker's hand."""
    wait_until(lambda: _rows(home, _OPEN) == [], description="all runs have ended", timeout=120)
    kept = kept_in_redis()
    messages = [message for each in kept.values() if each["type"] == "list" for message in each["value"]]
    messages += [message for message, *_ in kept["unacked"]["value"].values()]
    ids = {message["headers"]["id"] for message in messages}

    def left() -> list[str]:
        with _redis(home) as server:
            queues = ("control", "table", "steps")
            texts = [text for queue in queues for text in server.lrange(queue, 0, -1)]
            texts += server.hvals("unacked")
        return [each for each in ids if any(each in text for text in texts)]

    wait_until(lambda: _rows(home, _DUE), description="the slot that passed meanwhile has its run", timeout=60)
    wait_until(lambda: not left(), description="no message of 0.1 is left", timeout=60)
    wait_until(lambda: _rows(home, _OPEN) == [], description="all runs of late messages have ended", timeout=60)
