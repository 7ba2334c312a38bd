"""The pages with lists inside Flower: what they show, who may change what, and that text of data is only text."""

import html
import re
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, urlencode

import pytest
from flower.urls import handlers
from tornado.web import URLSpec

from app.dashboard.pages.routes import ROUTES
from tests.acceptance.cluster import Cluster
from tests.acceptance.flowers import RunningFlower

ADA, VERA = "ada:her-password", "vera:her-own-one"
PAGES = ("/record", "/rejections", "/alerts", "/audits", "/queues", "/history")
MARKUP = "<b>odd & 'key'</b>"
_PIPELINE = """
    from batchord import Pipeline, SqlSource

    def length(frame):
        if (frame["body"] == "bad").any():
            raise ValueError("<script>alert(1)</script>")
        return frame["body"].str.len().astype(float)

    notes = Pipeline("notes", source=SqlSource("SELECT id, body FROM notes", key="id"), model=length)
"""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


class Browser:
    """One person's browser: a login and cookies."""

    def __init__(self, flower: RunningFlower, login: str | None, prefix: str = "") -> None:
        self._root = f"http://127.0.0.1:{flower.port}"
        self.prefix = prefix
        self._login = login
        self._cookies: dict[str, str] = {}
        self._opener = urllib.request.build_opener(_NoRedirect())

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        status, _, text = self._ask(path, None)
        return status, text

    def post(self, path: str, *, token: bool = True, **fields: str) -> tuple[int, str]:
        """Status of an action, and where it leads; its text if it leads nowhere."""
        if token:
            self.get("/rejections")
            fields["_xsrf"] = self._cookies.get("_xsrf", "")
        status, headers, text = self._ask(path, urlencode(fields).encode())
        return status, headers.get("Location") or text

    def _ask(self, path: str, body: bytes | None) -> tuple[int, HTTPMessage, str]:
        request = urllib.request.Request(f"{self._root}{self.prefix}{path}", data=body)
        if self._login is not None:
            request.add_header("Authorization", "Basic " + b64encode(self._login.encode()).decode())
        if self._cookies:
            request.add_header("Cookie", "; ".join(f"{name}={value}" for name, value in self._cookies.items()))
        request.add_header("Origin", self._root)
        try:
            reply = self._opener.open(request, timeout=60)
        except HTTPError as error:
            reply = error
        with reply:
            for cookie in reply.headers.get_all("Set-Cookie") or []:
                name, _, value = cookie.partition(";")[0].partition("=")
                self._cookies[name] = value
            return reply.status, reply.headers, reply.read().decode()


@pytest.fixture
def notes(cluster: Cluster) -> Cluster:
    """Sixty records, of which one has markup in its key and is rejected, and one more is rejected by the model."""
    cluster.sql("CREATE TABLE notes (id text PRIMARY KEY, body text)")
    cluster.sql("INSERT INTO notes SELECT 'n' || n, 'text' FROM generate_series(1, 58) AS n")
    cluster.sql("INSERT INTO notes VALUES (%s, NULL), ('x', 'bad')", MARKUP)
    cluster.pipeline("notes", _PIPELINE)
    cluster.batchord("run", "notes", "--local")
    cluster.batchord("audit", "notes", check=False)
    return cluster


@pytest.fixture
def flower(notes: Cluster, tmp_path: Path) -> Iterator[RunningFlower]:
    """For Ada, who may act, and Vera, who may look."""
    running = RunningFlower(notes, tmp_path, FLOWER_BASIC_AUTH=f"{ADA},{VERA}", BATCHORD_FLOWER_VIEWERS="vera")
    try:
        yield running
    finally:
        running.stop()


def test_the_lists_for_who_may_act_and_for_who_may_look(flower: RunningFlower) -> None:
    """One Flower: markup is text, lists lead to records, Ada retries, and Vera cannot."""
    ada, vera, nobody = (Browser(flower, login) for login in (ADA, VERA, None))
    for page in PAGES:
        assert (page, nobody.get(page)[0]) == (page, 401)
        status, text = ada.get(page)
        assert (page, status) == (page, 200)
        assert "<b>odd" not in text
        assert "<script>alert" not in text

    text = ada.get("/rejections?pipeline=notes")[1]
    assert MARKUP in html.unescape(text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert f"/record?pipeline=notes&amp;key={quote(MARKUP, safe='').replace('%20', '+')}" in text
    assert ada.get("/rejections?run=zzz")[0] == 400
    assert "names no place" in ada.get("/rejections?before=x")[1]

    story = ada.get(f"/record?{urlencode({'pipeline': 'notes', 'key': MARKUP})}")[1]
    assert "rejected" in story
    assert "Predict it again" in story
    assert "<b>odd" not in story
    told = flower.cluster.batchord("why", "notes", "n1").stdout
    shown = _text(ada.get("/record?pipeline=notes&key=n1")[1])
    for line in ("unchanged since (digest", "the key orders the source; no column says when"):
        assert line in told
        assert line in shown
    assert "has no Predict step 'none'" in _text(ada.get("/record?pipeline=notes&key=n1&step=none")[1])
    assert "Did you mean" in ada.get("/record?pipeline=notes&key=N1")[1]
    flower.cluster.sql("REVOKE SELECT ON notes FROM PUBLIC, batchord_source")
    assert "could not be read from Flower's process" in _text(ada.get("/record?pipeline=notes&key=gone")[1])
    flower.cluster.sql("GRANT SELECT ON notes TO batchord_source")
    assert ">clean<" in ada.get("/audits?pipeline=notes")[1]

    _check_viewer(vera, ada)
    _check_retry(ada)


def _check_viewer(vera: Browser, ada: Browser) -> None:
    """Vera sees everything, no button, and every POST of Flower's and ours is refused."""
    for page in (*PAGES, f"/record?{urlencode({'pipeline': 'notes', 'key': MARKUP})}"):
        status, text = vera.get(page)
        assert (page, status) == (page, 200)
        assert 'method="post"' not in text
    assert 'method="post"' in ada.get("/rejections")[1]
    for path in _paths():
        assert (path, vera.post(path, token=False)[0]) == (path, 403)
    assert vera.post("/rejections/retry", pipeline="notes")[0] == 403
    assert ada.post("/rejections/retry", token=False, pipeline="notes")[0] == 403, "without a token"


def _check_retry(ada: Browser) -> None:
    """Of one record, then of a reason; each leads to its run and stands in the history."""
    status, run = ada.post("/rejections/retry", pipeline="notes", key=quote(MARKUP, safe=""))
    assert (status, run.rpartition("/")[0]) == (303, "/run")
    assert "<b>odd" not in ada.get("/history?pipeline=notes")[1]
    left = _text(ada.get("/rejections?pipeline=notes")[1])
    assert "odd & 'key'" not in left
    assert "model-error" in left
    assert ada.post("/rejections/retry", pipeline="notes", reason="other")[1] == "/rejections?pipeline=notes"
    assert "No rejection matches" in ada.get("/rejections")[1]
    assert ada.post("/rejections/retry", pipeline="notes", reason="model-error")[0] == 303
    changes = _text(ada.get("/history?user=ada")[1])
    assert changes.count("retry") == 2
    assert "keys <b>odd & 'key'</b>" in changes
    assert "ChangeReport" not in changes
    assert "No change matches" in ada.get("/history?user=bob")[1]
    status, back = ada.post("/rejections/retry", reason="other", back="//elsewhere")
    assert (status, back) == (303, "/")


def test_a_flower_that_only_reads_and_hides_records(notes: Cluster, tmp_path: Path) -> None:
    """No button, no action, no key; the counts stay."""
    running = RunningFlower(
        notes,
        tmp_path,
        FLOWER_BASIC_AUTH=ADA,
        FLOWER_READ_ONLY="true",
        BATCHORD_SHOW_RECORDS="none",
    )
    try:
        ada = Browser(running, ADA)
        for page in PAGES:
            status, text = ada.get(page)
            assert (page, status) == (page, 200)
            assert 'method="post"' not in text
            assert "odd &amp;" not in text
        assert "BATCHORD_SHOW_RECORDS" in ada.get("/record?pipeline=notes&key=n1")[1]
        assert "digest" not in ada.get("/record?pipeline=notes&key=n1")[1]
        rejections = ada.get("/rejections")[1]
        assert "model-error" in rejections
        assert "alert(1)" not in rejections
        assert ada.post("/rejections/retry", pipeline="notes")[0] == 403
    finally:
        running.stop()


def _paths() -> list[str]:
    """A path for each pattern of Flower's and ours."""
    patterns = [each.regex.pattern if isinstance(each, URLSpec) else each[0] for each in [*handlers, *ROUTES]]
    return sorted(
        {re.sub(r"\([^)]*\)|\.\*", "x", each).rstrip("$?/") or "/" for each in patterns} - {"x", "/healthcheck"}
    )


def _text(page: str) -> str:
    """What a person reads of a page."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))
