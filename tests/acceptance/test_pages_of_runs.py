"""The pages of runs inside Flower, over runs whose every text has markup."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

from tests.acceptance.cluster import Cluster
from tests.acceptance.flowers import RunningFlower

EVIL = "<script>alert(1)</script>"
_PIPELINE = f'''
import pandas as pd
from batchord import FunctionModel, Pipeline, Predict, Python, SqlSource

QUERY = """
    SELECT * FROM (VALUES ('{EVIL}1', 'fine', timestamptz '2026-01-05 09:00+00'),
                          ('{EVIL}2', 'broken', timestamptz '2026-01-05 09:01+00'),
                          ('{EVIL}3', ' ', timestamptz '2026-01-05 09:02+00')) AS v (id, body, created_at)
"""


def mood(frame: pd.DataFrame) -> pd.Series:
    print("line {EVIL} of the log")
    if (frame["body"] == "broken").any():
        raise ValueError("price {EVIL} list")
    return frame["body"].map(lambda body: "label {EVIL}")


def report():
    raise RuntimeError("report {EVIL}")


evil = Pipeline("evil", steps=[
    Predict("predict", source=SqlSource(QUERY, key="id", arrival="created_at"), model=FunctionModel(mood, text="body")),
    Python("report", report, after=["predict"]),
])
'''  # noqa: S608 -- a constant


class Browser:
    """A person at Flower, who stays logged in and keeps cookies."""

    def __init__(self, flower: RunningFlower) -> None:
        self.flower = flower
        status = json.loads(flower.cluster.batchord("status", "--password", "--json", check=False).stdout)
        self.login = f"{status['flower_user']}:{status['flower_password']}"

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        status, _, text = self.flower.get(path, login=self.login)
        return status, text

    def press(self, path: str, *, xsrf: str | None = None, **fields: str) -> tuple[int, str]:
        """Presses a button: the status, and the page that is shown next. ``xsrf``: its token; None: the right one."""
        _, headers, _ = self.flower.get("/runs", login=self.login)
        kept = re.search(r"_xsrf=([^;]+)", " ".join(headers.get_all("Set-Cookie") or []))
        assert kept is not None
        data = urllib.parse.urlencode({**fields, "_xsrf": kept[1] if xsrf is None else xsrf}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.flower.port}{path}", data=data, method="POST")
        request.add_header("Authorization", "Basic " + b64encode(self.login.encode()).decode())
        request.add_header("Cookie", f"_xsrf={kept[1]}")
        try:
            with urllib.request.build_opener(_Stay).open(request, timeout=20) as reply:
                return reply.status, ""
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Location", "")


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection."""

    def redirect_request(self, *_: object) -> None:
        """Leaves it to the caller."""


@contextmanager
def flower_of(cluster: Cluster, folder: Path, **environment: str) -> Iterator[Browser]:
    """A Flower over one run of the pipeline ``evil``, which failed."""
    cluster.pipeline("evil", _PIPELINE)
    cluster.batchord("run", "evil", "--local", "--param", f"note={EVIL}", check=False)
    flower = RunningFlower(cluster, folder, **environment)
    try:
        yield Browser(flower)
    finally:
        flower.stop()


def test_a_person_looks_at_runs_and_changes_them(cluster: Cluster, tmp_path: Path) -> None:
    """Everything of the data is text; a button needs its token; each change says what happened."""
    with flower_of(cluster, tmp_path) as browser:
        (run,) = cluster.runs("evil")
        status, listed = browser.page("/runs?pipeline=evil&state=failed&trigger=local")
        assert status == 200
        assert f'/run/{run["id"]}"' in listed
        status, text = browser.page(f"/run/{run['id'][:13]}?step=predict&shard=0")
        assert status == 200
        for words in ("line", "price", "label", "report"):
            assert f"{words} {escape(EVIL)}" in text, words
        for shown in (
            f"{escape(EVIL)}2</code>", "note", "evil.py:", "empty-text", "model-error", f"/rejections?run={run['id']}",
            "Rerun failed", "Retry rejections", 'aria-label="The graph of 2 steps', "1 predicted", "Attempts by worker",
        ):  # fmt: skip
            assert shown in text, shown
        assert "Cancel" not in text
        live = json.loads(browser.page(f"/run/{run['id']}?live=1")[1])
        for page in (listed, text, live["html"], browser.page("/runs")[1]):
            assert EVIL not in page

        assert browser.page("/run/nope")[0] == 404
        assert "No run has the state" in browser.page("/runs?state=nonsense")[1]
        assert browser.page("/runs?from=yesterday")[0] == browser.page("/runs?before=x")[0] == 400
        assert "No run matches" in browser.page("/runs?from=2020-01-01T00:00&to=2020-01-02T00:00")[1]

        assert browser.press(f"/run/{run['id']}/rerun", xsrf="x")[0] == 403
        status, target = browser.press(f"/run/{run['id']}/rerun", failed="yes")
        assert (status, target.startswith("/run/")) == (303, True)
        again = browser.page(target)[1]
        assert "Repeats" in again
        assert "rerun" in again
        assert "by batchord on 127.0.0.1" in " ".join(again.split())
        assert browser.press(f"{target}/cancel")[0] == 303
        assert ">cancelled</span>" in browser.page(target)[1]
        status, target = browser.press(f"/run/{run['id']}/retry")
        assert "repair" in browser.page(target)[1]
        assert cluster.sql("SELECT count(*) FROM batchord.rejections") == [(0,)]


def test_pages_can_hide_records_and_refuse_changes(cluster: Cluster, tmp_path: Path) -> None:
    """A viewer sees counts and reasons, and neither a key nor a log nor a button."""
    hiding = {"BATCHORD_SHOW_RECORDS": "none", "BATCHORD_FLOWER_VIEWERS": "batchord"}
    with flower_of(cluster, tmp_path, **hiding) as browser:
        (run,) = cluster.runs("evil")
        status, text = browser.page("/run/evil")
        assert status == 200
        assert "model-error" in text
        for hidden in (f"{escape(EVIL)}2", f"{escape(EVIL)}3", "of the log", "Rerun", "Retry rejections"):
            assert hidden not in text, hidden
        assert browser.press(f"/run/{run['id']}/rerun")[0] == 403
        assert len(cluster.runs("evil")) == 1
