"""A key of several columns, from the command line over real workers to the joined table."""

import json
from pathlib import Path

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_PIPELINE = """
    import pandas as pd

    from batchord import Pipeline, Predict, SqlSource

    def visitors(frame):
        if (frame.index.get_level_values("day").astype(str) == "2026-05-03").any():
            raise ValueError("a day without weather")
        return frame.index.get_level_values("store_id").to_series(index=frame.index) * 10.0

    def staff(frame):
        return frame["score"] / 5

    forecast = Pipeline(
        "forecast",
        steps=[
            Predict(
                "visitors",
                source=SqlSource("SELECT store_id, day, opened_at FROM days", key=["store_id", "day"],
                                 arrival="opened_at"),
                model=visitors,
            ),
            Predict(
                "staff",
                source=SqlSource(
                    "SELECT store_id, day, score, predicted_at FROM batchord_results.forecast__visitors",
                    key=["store_id", "day"], arrival="predicted_at"),
                model=staff,
                into="public.staff",
                after="visitors",
            ),
        ],
    )
"""


def test_each_command_knows_the_records(notes: Cluster, tmp_path: Path) -> None:
    """A step reads the table of the step before it, by the same key; one day is rejected, and retried."""
    notes.sql(
        "CREATE TABLE days (store_id int, day date, opened_at timestamptz DEFAULT now(), PRIMARY KEY (store_id, day))"
    )
    notes.sql(
        "INSERT INTO days SELECT store, date '2026-05-01' + n FROM generate_series(1, 20) AS store, "
        "generate_series(0, 1) AS n"
    )
    notes.sql("INSERT INTO days VALUES (7, '2026-05-03')")
    notes.sql(
        "CREATE TABLE staff (store_id int, day date, label text, score float8, writer int, "
        "predicted_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (store_id, day))"
    )
    notes.sql("GRANT ALL ON staff TO PUBLIC; GRANT SELECT ON days TO PUBLIC")
    notes.pipeline("forecast", _PIPELINE)
    tried = json.loads(
        notes.batchord("try", "forecast", "--step", "visitors", "--key", "3:2026-05-02", "--json").stdout
    )
    assert [(each["key"], each["score"]) for each in tried["predictions"]] == [("3:2026-05-02", 30.0)]
    notes.start("control", "worker")
    ended = json.loads(notes.batchord("run", "forecast", "--wait", "--json", check=False).stdout)
    assert (ended["predicted"], ended["rejected"]) == (80, 1), ended
    assert notes.sql(
        "SELECT count(*), sum(v.score), sum(s.score) FROM days JOIN batchord_results.forecast__visitors AS v "
        "USING (store_id, day) JOIN staff AS s USING (store_id, day)"
    ) == [(40, 4200.0, 840.0)]
    checked = json.loads(notes.batchord("check", "--json").stdout)
    assert (checked["problems"], checked["warnings"]) == ([], [])
    told = json.loads(notes.batchord("why", "forecast", "7:2026-05-03", "--json", check=False).stdout)
    assert told["steps"][0]["state"] == "rejected"
    file = tmp_path / "visitors.csv"
    notes.batchord("export", "forecast", "--step", "visitors", "-o", str(file), "--columns", "store_id,day,score")
    assert "7,2026-05-02,70.0\n" in file.read_text().replace("\r", "")
    notes.pipeline("forecast", _PIPELINE.replace("2026-05-03", "2026-06-03"))
    notes.batchord("retry", "forecast", "--key", "7:2026-05-03")
    wait_until(
        lambda: notes.sql("SELECT count(*) FROM staff") == [(41,)], description="the day is predicted", timeout=60
    )
    audited = notes.batchord("audit", "forecast", "--json", check=False)
    assert audited.returncode == 0, audited.stdout
