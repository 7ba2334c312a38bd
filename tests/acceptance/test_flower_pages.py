"""The pages inside Flower: who asks sees the pipelines and their runs, and changes them by buttons."""

import base64
import gzip
import json
import re
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from app.dashboard.pages.page import STATIC
from tests.acceptance.cluster import Cluster
from tests.acceptance.flowers import RunningFlower
from tests.waiting import wait_until

_EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def flower(notes: Cluster, tmp_path: Path) -> Iterator[RunningFlower]:
    """Flower under a prefix, with a control worker and a worker."""
    notes.start("control", "worker")
    with RunningFlower(notes, tmp_path, prefix="/flower") as running:
        yield running


def test_a_person_starts_and_pauses_a_pipeline(flower: RunningFlower) -> None:
    """With buttons, which need a token; the history names the person, and the page shows what became of it."""
    cluster = flower.cluster
    cluster.insert_notes(3)
    # Flower's first address leads to the pipelines, and its own pages have our tabs.
    assert ">notes</a>" in flower.page("/")
    assert '<a class="nav-link" href="/flower/pipelines"' in flower.page("/tasks")

    status, page = flower.press("/pipelines", "/pipeline/notes/run")
    assert (status, "A run of notes was started." in page) == (200, True)
    wait_until(lambda: cluster.runs("notes")[0]["state"] == "succeeded", description="the run ends")
    wait_until(lambda: "1 succeeded" in flower.page("/pipelines"), description="the page shows it")

    status, page = flower.press("/pipelines", "/pipeline/notes/pause", paused="yes")
    assert (status, "notes is paused." in page, ">Resume</button>" in page) == (200, True, True)
    changes = json.loads(cluster.batchord("history", "--json").stdout)
    assert [(each["action"], each["user"], each["way"]) for each in changes] == [
        ("pause", "batchord", "flower"),
        ("run", "batchord", "flower"),
    ]

    without_token = flower.get("/pipeline/notes/pause", login=flower.login, method="POST")
    assert without_token[0] == 403
    assert len(json.loads(cluster.batchord("history", "--json").stdout)) == 2


def test_a_page_is_kept_current_and_trusts_nothing(flower: RunningFlower) -> None:
    """Its live part comes alone; texts of files are text; scripts come from here alone."""
    cluster = flower.cluster
    (cluster.pipelines / "broken.py").write_text(f"raise ValueError({_EVIL!r})\n")

    status, headers, page = flower.get("/pipelines", login=flower.login)
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert _EVIL not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page

    status, headers, text = flower.get("/pipelines?live=1", login=flower.login)
    part = json.loads(text)
    assert (status, part["seconds"]) == (200, 15.0)
    assert ">notes</a>" in part["html"]
    assert "<html" not in part["html"]
    assert flower.get("/pipelines?live=1", login="batchord:wrong")[0] == 401


def test_a_first_visit_fetches_little(flower: RunningFlower) -> None:
    """Scripts and styles are compressed. A page is not: it has a token, and repeats what its address says."""
    page = flower.page("/pipelines?from=elsewhere")
    files = re.findall(r'(?:src|href)="(/flower/[^"]*[.](?:js|css)[^"]*)"', page)
    assert sorted(Path(file.partition("?")[0]).name for file in files) == [
        "batchord.css",
        "batchord.js",
        "bootstrap.bundle.min.js",
        "bootstrap.min.css",
        "flower.css",
        "theme.js",
    ]
    replies = [_fetched(flower, file) for file in files]
    assert {headers["Content-Encoding"] for headers, _ in replies} == {"gzip"}
    assert all("max-age=" in headers["Cache-Control"] for headers, _ in replies)
    assert sum(len(body) for _, body in replies) < 100_000
    css = next(body for file, (_, body) in zip(files, replies, strict=True) if "batchord.css" in file)
    assert gzip.decompress(css) == (STATIC / "batchord.css").read_bytes()
    assert _fetched(flower, "/flower/pipelines")[0]["Content-Encoding"] is None
    assert _fetched(flower, files[0], Range="bytes=0-99")[0]["Content-Encoding"] is None


def _fetched(flower: RunningFlower, address: str, **headers: str) -> tuple[Message, bytes]:
    """The headers and the body of a reply to a browser, which can decompress."""
    login = base64.b64encode(flower.login.encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{flower.port}{address}",
        headers={"Authorization": f"Basic {login}", "Accept-Encoding": "gzip", **headers},
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        return reply.headers, reply.read()
