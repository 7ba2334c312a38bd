"""Lists for pages: the newest first, page after page, and no filter reads much more than it shows."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner

from app.cli.audits import audits as past_audits
from batchord.core.errors import ConfigurationError
from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.core.run.history import Actor, Way
from batchord.core.run.run_ids import first_run_id
from batchord.core.run.run_lists import RejectionFilter
from batchord.flow.upkeep.audit import audit_all, audit_and_repair
from batchord.flow.upkeep.prune import prune
from batchord.flow.upkeep.switch import pause
from batchord.ledger import lists
from batchord.ledger.lists import Lists
from batchord.reports.alerts import alerts_before
from batchord.reports.audits import Verdict, audits, audits_before
from batchord.reports.changes import changes_before
from batchord.reports.rejections import rejection_counts, rejections_before
from tests.integration.flow_parts import ITEMS, Bench

ADA = Actor(user="ada", host="desk", way=Way.COMMAND)
_MANY = """
    INSERT INTO batchord.rejections (pipeline, step, record_key, model_version, reason, detail, attempts, run_id, shard,
                                     rejected_at)
    SELECT CASE WHEN n %% 2 = 0 THEN 'even' ELSE 'odd' END, 'predict', 'k' || n, 'm@1',
           CASE WHEN n %% 1000 = 0 THEN 'rare' ELSE 'common' END, 'a <b>detail</b>', 1, %s::uuid, 0,
           -- Five share each moment, as the rows of a batch may.
           timestamptz '2026-01-01 00:00+00' + make_interval(secs => n / 5)
    FROM generate_series(1, %s::int) AS n
"""

#: Five thousand runs of one shard each, which ended yesterday.
_OLD_SHARDS = """
    INSERT INTO batchord.runs (id, pipeline, kind, trigger, state)
    SELECT md5(n::text)::uuid, 'items', 'manual', 'call', 'succeeded' FROM generate_series(1, 5000) AS n;
    INSERT INTO batchord.steps (run_id, name, ordinal, kind, state, queue)
    SELECT md5(n::text)::uuid, 'predict', 0, 'predict', 'done', 'table' FROM generate_series(1, 5000) AS n;
    INSERT INTO batchord.shards (run_id, step, index, first_position, last_position, planned, discovered, state,
                                 finished_at)
    SELECT md5(n::text)::uuid, 'predict', 0, '[]', '[]', 1, 1, 'done', now() - interval '1 day'
    FROM generate_series(1, 5000) AS n;
    ANALYZE batchord.steps, batchord.shards;
"""


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No records."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def _many(bench: Bench, count: int) -> str:
    run_id = first_run_id(bench.ledger.runs.now())
    bench.sql(_MANY, run_id, count)
    return run_id


def _keys(bench: Bench, of: RejectionFilter, *, size: int) -> list[str]:
    """The keys of all pages."""
    keys: list[str] = []
    before: str | None = None
    while True:
        page = rejections_before(bench.ledger, of, before=before, size=size)
        assert len(page.entries) <= size
        keys += [each.key for each in page.entries]
        if page.older is None:
            return keys
        before = page.older


def test_each_rejection_is_on_one_page(bench: Bench) -> None:
    """By pipeline, reason, step and run; those of the same moment as well."""
    run_id = _many(bench, 2_003)
    expected = bench.column("SELECT record_key FROM batchord.rejections ORDER BY rejected_at DESC")
    everything = _keys(bench, RejectionFilter(), size=50)
    assert (sorted(everything), len(everything)) == (sorted(expected), 2_003)
    numbers = [int(key[1:]) // 5 for key in everything]
    assert numbers == sorted(numbers, reverse=True)
    assert _keys(bench, RejectionFilter(reason="rare"), size=1) == ["k2000", "k1000"]
    assert len(_keys(bench, RejectionFilter(pipeline="even", step="predict"), size=300)) == 1_001
    assert _keys(bench, RejectionFilter(run_id=run_id, reason="rare"), size=50) == ["k2000", "k1000"]
    assert _keys(bench, RejectionFilter(run_id=run_id, pipeline="odd", reason="rare"), size=50) == []
    assert _keys(bench, RejectionFilter(pipeline="other"), size=50) == []
    with pytest.raises(ConfigurationError, match="names no place in the list"):
        rejections_before(bench.ledger, RejectionFilter(), before="yesterday", size=1)


def test_rejections_are_counted_by_group(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a limit, the largest first."""
    run_id = _many(bench, 2_003)
    monkeypatch.setattr("batchord.reports.rejections.MOST_COUNTED", 500)
    everything = rejection_counts(bench.ledger, RejectionFilter())
    assert [(each.pipeline, each.reason, each.count, each.is_more) for each in everything] == [
        ("even", "common", 500, True), ("odd", "common", 500, True), ("even", "rare", 2, False)
    ]  # fmt: skip
    of_run = rejection_counts(bench.ledger, RejectionFilter(run_id=run_id))
    assert [(each.reason, each.count) for each in of_run] == [("common", 500), ("rare", 2)]
    (rare,) = rejection_counts(bench.ledger, RejectionFilter(reason="rare"))
    assert asdict(rare) == {"pipeline": "even", "step": "predict", "reason": "rare", "count": 2}


@pytest.mark.parametrize("name", ["all", "rare", "pipeline", "run"])
def test_a_page_of_rejections_reads_little(bench: Bench, name: str) -> None:
    """However many there are: PostgreSQL says how many rows it has read."""
    run_id = _many(bench, 30_000)
    bench.sql("ANALYZE batchord.rejections")
    of = {
        "all": RejectionFilter(),
        "rare": RejectionFilter(reason="rare"),
        "pipeline": RejectionFilter(pipeline="even"),
        "run": RejectionFilter(run_id=run_id),
    }[name]
    explained = _Explained(bench)
    before = bench.ledger.lists.rejections(of, before=None, limit=40)[-1]
    Lists(explained).rejections(of, before=(before["rejected_at"], before["mark"]), limit=40)  # type: ignore[arg-type]
    assert 0 < explained.rows < 400, explained.plan


class _Explained:
    """Connections that explain each query and count the rows that its scans read."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.rows = 0.0
        self.plan: Any = None

    def transaction(self) -> "_Explained":
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def execute(self, query: str, values: Mapping[str, Any]) -> "_Explained":
        cursor = self._bench._connection.execute(  # noqa: SLF001 -- the test's own connection
            f"EXPLAIN (ANALYZE, FORMAT JSON) {query}".encode(), values
        )
        ((self.plan,),) = cursor.fetchall()
        self.rows = sum(
            node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
            for node in _nodes(self.plan[0]["Plan"])
            if node.get("Relation Name") == "rejections"
        )
        return self

    def fetchall(self) -> list[Any]:
        """A plan has no rows for the caller."""
        return []


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for each in node.get("Plans", ()):
        yield from _nodes(each)


def test_alerts_and_changes_come_page_by_page(bench: Bench) -> None:
    """The newest first; by pipeline and by who."""
    bench.declare()
    for number in range(5):
        bench.ledger.alerts.keep(
            NewAlert(
                event=f"e{number}", kind=AlertKind.AUDIT, pipeline=f"p{number % 2}", title=f"t{number}", message="m"
            )
        )
        pause(bench.parts(), pipeline=ITEMS, paused=number % 2 == 0, actor=ADA)
    first = alerts_before(bench.ledger, size=2)
    second = alerts_before(bench.ledger, before=first.older, size=2)
    last = alerts_before(bench.ledger, before=second.older, size=2)
    assert [each.title for page in (first, second, last) for each in page.entries] == ["t4", "t3", "t2", "t1", "t0"]
    assert last.older is None
    assert [each.title for each in alerts_before(bench.ledger, pipeline="p1", size=9).entries] == ["t3", "t1"]
    newest = changes_before(bench.ledger, user="ada", size=4)
    assert [each.action for each in newest.entries] == ["pause", "resume", "pause", "resume"]
    assert len(changes_before(bench.ledger, before=newest.older, size=4).entries) == 1
    assert changes_before(bench.ledger, user="bob", size=4).entries == []
    assert changes_before(bench.ledger, before="no number", size=9).older is None


def test_what_audits_found_is_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a person and by the day, with the run that repairs, until it is pruned."""
    bench.insert(3)
    bench.declare()
    bench.run()
    bench.run()
    bench.forget("2")
    audits(bench.parts(), [ITEMS], actor=ADA)
    assert bench.value("SELECT count(*) FROM batchord.alerts") == 0, "a person sees it"

    audit_and_repair(bench.parts(), pipeline=ITEMS)

    daily, by_hand = audits_before(bench.ledger, pipeline=ITEMS, size=9).entries
    for each in (daily, by_hand):
        assert (each.records, each.predicted, each.missing, each.examples) == (3, 2, 1, {"missing": ["2"]})
        assert (each.verdict, each.steps, each.not_audited) == (Verdict.NOT_CLEAN, {}, {})
        assert each.seconds >= 0
    assert (by_hand.user, by_hand.host, by_hand.way, by_hand.run_id) == ("ada", "desk", "command", None)
    assert (daily.user, daily.way) == (None, None)
    assert daily.run_id == bench.value("SELECT id::text FROM batchord.runs WHERE trigger = 'audit'")
    assert bench.value("SELECT count(*) FROM batchord.alerts") == 1
    assert audits_before(bench.ledger, pipeline="other", size=9).entries == []

    monkeypatch.setattr("batchord.wiring.ledger", lambda: bench.ledger)
    told = CliRunner().invoke(past_audits, [], catch_exceptions=False).output
    assert re.search(r"items +NOT CLEAN +3 +2 +0 +0 +1 +0 +[0-9a-f-]{8,} +the day", told)
    assert re.search(r"items +NOT CLEAN +3 +2 +0 +0 +1 +0 +- +ada", told)
    one = CliRunner().invoke(past_audits, ["--limit", "1", "--pipeline", ITEMS, "--json"], catch_exceptions=False)
    assert [(each["id"], each["verdict"]) for each in json.loads(one.output)] == [(daily.id, "NOT CLEAN")]
    assert "No audit of other yet." in CliRunner().invoke(past_audits, ["--pipeline", "other"]).output

    bench.sql("UPDATE batchord.audits SET at = at - interval '3 years' WHERE by_user = 'ada'")
    assert prune(bench.parts()).audits == 1


def test_an_audit_that_fails_is_kept_as_well(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its reason; it says nothing against the records."""
    bench.declare()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("batchord.flow.upkeep.audit.audit", broken)
    list(audit_all(bench.parts()))

    (kept,) = audits_before(bench.ledger, size=9).entries
    assert kept.verdict is Verdict.NOT_AUDITED
    assert "could not check items" in kept.not_audited[""]


def test_the_throughput_of_queues(bench: Bench) -> None:
    """Of the last hour, and of its last minutes; by index."""
    bench.insert(7)
    bench.declare()
    bench.run()
    (row,) = bench.ledger.lists.throughput()
    assert row == {"queue": "table", "newest": 1, "ended": 1, "records": 7}
    bench.sql("UPDATE batchord.shards SET finished_at = finished_at - interval '10 minutes'")
    assert [each["newest"] for each in bench.ledger.lists.throughput()] == [0]
    bench.sql("UPDATE batchord.shards SET finished_at = finished_at - interval '1 hour'")
    assert bench.ledger.lists.throughput() == []
    bench.sql("SET enable_seqscan = off")
    plan = json.dumps(bench.value(f"EXPLAIN (FORMAT JSON) {lists._THROUGHPUT}"))  # noqa: SLF001 -- the query itself
    assert {"shards_finished", "steps_finished"} <= {word for word in plan.split('"') if word.endswith("_finished")}


def test_the_throughput_of_queues_reads_no_old_step(bench: Bench) -> None:
    """The steps of thousands of runs that ended long ago stay unread."""
    bench.insert(7)
    bench.declare()
    bench.run()
    bench.sql(_OLD_SHARDS)
    assert [each["ended"] for each in bench.ledger.lists.throughput()] == [1]
    plan = json.dumps(bench.value(f"EXPLAIN (FORMAT JSON) {lists._THROUGHPUT}"))  # noqa: SLF001 -- the query itself
    assert "Seq Scan" not in plan
