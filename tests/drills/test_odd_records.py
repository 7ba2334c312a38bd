"""Drills of odd records: what can be predicted is, what cannot is rejected with its reason, and nobody else pays."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.outcomes import reasons
from tests.contracts.small_images import picture
from tests.drills.drill import SOURCE, Drill
from tests.drills.odd_pictures import odd_locations, odd_pictures

_IMAGES = """
    from batchord import FunctionModel, Images, Pipeline, SqlSource

    def corners(image):
        return [image.getpixel((0, 0)), image.getpixel((image.width - 1, image.height - 1))]

    def colours(frame):
        return frame.assign(label="seen", corners=frame["body"].map(corners))[["label", "corners"]]

    notes = Pipeline(
        "notes",
        source=SqlSource("SELECT id, body FROM notes", key="id"),
        model=FunctionModel(colours, images=Images(column="body", allow=["file://{photos}/"], max_bytes=1_000_000)),
    )
"""
_TEXTS = """
    from datetime import timedelta
    from batchord import FunctionModel, Pipeline, SqlSource

    def echo(frame):
        return frame.assign(label=frame["body"], score=frame["body"].str.len())[["label", "score"]]

    notes = Pipeline("notes", source=SqlSource({source}), model=FunctionModel(echo, text="body"))
"""
#: In PostgreSQL as JSON, since a column of texts cannot hold them all: the text as JSON writes it, then the label that
#: shows what the model was given.
_PREDICTED = [
    (r'"NUL \u0000 inside"', r"NUL \u0000 inside"),
    (r'"\u0000"', r"\u0000"),
    (r'"half a pair \ud800"', r"half a pair \ud800"),
    (r'"\udfff\ud800"', r"\udfff\ud800"),
    (r'"a pair \ud83d\ude00"', "a pair \N{GRINNING FACE}"),
    (r'"\u200b"', "\N{ZERO WIDTH SPACE}"),
    (json.dumps("long " * 200_000), "long " * 200_000),
    (json.dumps("x" * 1_000_000), "x" * 1_000_000),
]
_REJECTED = [
    (None, "missing-text"),
    ("null", "missing-text"),
    ("17", "missing-text"),
    ('["a list"]', "missing-text"),
    ('""', "empty-text"),
    (r'" \t\r\n\u3000\u00a0\u2028"', "empty-text"),
]
#: A text of a megabyte that is written character by character takes its second, and longer while others work: no reason
#: to end its transaction, as the drills' leases of 2 s would.
_PATIENT = {"BATCHORD_LEASE_SECONDS": "20"}
#: In SQLite, as bytes: what it takes for a text need be none.
_BYTES = [
    (b"NUL \0 inside", r"NUL \u0000 inside"),
    (b"half a pair \xed\xa0\x80", r"half a pair \udced\udca0\udc80"),
    (b"Latin-1: caf\xe9", r"Latin-1: caf\udce9"),
    (b"\xff" * 1_000_000, r"\udcff" * 1_000_000),
]


def test_odd_images_cost_themselves_at_most(drill: Drill) -> None:
    """Damaged, dangerous and unusual ones among good ones, by their stored bytes and by their locations."""
    cluster, photos = drill.cluster, drill.folder / "photos"
    photos.mkdir()
    cluster.sql("DELETE FROM notes")
    fates = {}
    for name, data, fate in odd_pictures():
        fates[_insert(drill, _stored(photos, name, data))] = fate
    for location, reason in odd_locations(photos):
        fates[_insert(drill, location)] = reason
    good = [_insert(drill, _stored(photos, f"{number}.png", picture("PNG", colour="blue"))) for number in range(50)]
    fates |= dict.fromkeys(good, ((0, 0, 255), (0, 0, 255)))
    cluster.pipeline("notes", _IMAGES.format(photos=photos))
    cluster.start("control", "worker", "beat")
    drill.run()
    drill.injected()
    drill.settle()
    assert reasons(cluster, "notes") == {key: fate for key, fate in fates.items() if isinstance(fate, str)}
    seen = dict(cluster.sql("SELECT record_key, output -> 'corners' FROM batchord.predictions"))
    # A JPEG's colours are not exact.
    assert [seen.pop(key) for key, fate in fates.items() if not isinstance(fate, str)] == [
        [pytest.approx(colour, abs=3) for colour in fate] for fate in fates.values() if not isinstance(fate, str)
    ]
    assert seen == {}
    drill.check()


def test_odd_texts_cost_themselves_at_most(drill: Drill) -> None:
    """Characters that PostgreSQL has no place for, a million of them, none at all, and values that are no text."""
    cluster = drill.cluster
    cluster.sql("ALTER TABLE notes ADD odd json")
    odd = [*_PREDICTED, *_REJECTED]
    for written, _ in odd:
        cluster.sql("INSERT INTO notes (odd) VALUES (%s)", written)
    source = SOURCE.replace("body", "coalesce(odd, to_json(body)) AS body")
    cluster.pipeline("notes", _TEXTS.format(source=source))
    cluster.start("control", "worker", "beat", **_PATIENT)
    drill.run()
    drill.injected()
    drill.settle()
    assert reasons(cluster, "notes") == {
        str(key): reason for key, (_, reason) in enumerate(_REJECTED, start=401 + len(_PREDICTED))
    }
    assert _labels(drill, above=400) == [label for _, label in _PREDICTED]
    assert len(_labels(drill, above=0)) == 400 + len(_PREDICTED)
    drill.check()


def test_texts_that_are_none_cost_themselves_at_most(drill: Drill) -> None:
    """SQLite keeps any bytes as a text, and any type in any column."""
    cluster, file = drill.cluster, drill.folder / "records.sqlite"
    with closing(sqlite3.connect(file)) as records:
        records.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
        records.executemany("INSERT INTO notes (id, body) VALUES (?, ?)", cluster.sql("SELECT id, body FROM notes"))
        for number, (data, _) in enumerate(_BYTES, start=1):
            records.execute("UPDATE notes SET body = CAST(? AS TEXT) WHERE id = ?", (data, number))
        for number, other in ((101, b"bytes"), (102, None)):
            records.execute("UPDATE notes SET body = ? WHERE id = ?", (other, number))
        records.commit()
    source = f'"SELECT id, body FROM notes", key="id", settle=timedelta(0), url="sqlite:///{file}"'  # noqa: S608 -- of this test
    cluster.pipeline("notes", _TEXTS.format(source=source))
    cluster.start("control", "worker", "beat", **_PATIENT)
    drill.run()
    drill.injected()
    drill.settle()
    assert reasons(cluster, "notes") == {"101": "missing-text", "102": "missing-text"}
    assert _labels(drill, above=0)[: len(_BYTES)] == [label for _, label in _BYTES]
    drill.check()


def test_a_key_beyond_all_measure_costs_nobody(drill: Drill) -> None:
    """No index holds it; the ledger keeps its beginning and a digest, and its neighbours are predicted as well."""
    cluster = drill.cluster
    cluster.sql("ALTER TABLE notes ADD key text, ADD written text")
    cluster.sql("UPDATE notes SET key = id::text, written = id::text")
    # Of many different characters, since PostgreSQL compresses what repeats itself.
    long = "".join(chr(0x4E00 + number * number % 20_000) for number in range(10_000))
    for number in (5, 6):
        key = long + str(number)
        written = f"{key[:500]}#{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"
        cluster.sql("UPDATE notes SET key = %s, written = %s WHERE id = %s", key, written, number)
    drill.key = "written"
    drill.declare(source='"SELECT key, body, created_at FROM notes", key="key", arrival="created_at"')
    cluster.start("control", "worker", "beat")
    for runs in (1, 2):
        drill.run()
        drill.wait_until_runs(runs)
    assert cluster.sql("SELECT predicted FROM batchord.runs ORDER BY created_at") == [(400,), (0,)]
    drill.check(runs=("succeeded", "succeeded"))


def _labels(drill: Drill, *, above: int) -> list[str]:
    """Labels of the records beyond a key, in the keys' order."""
    return [
        label
        for (label,) in drill.cluster.sql(
            "SELECT label FROM batchord.predictions WHERE record_key::int > %s ORDER BY record_key::int", above
        )
    ]


def _stored(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return f"file://{folder}/{name}"


def _insert(drill: Drill, body: str | None) -> str:
    (row,) = drill.cluster.sql("INSERT INTO notes (body) VALUES (%s) RETURNING id::text", body)
    key: str = row[0]
    return key
