"""Puts the stack of 0.1 that tests/fixtures/release_0_1 keeps into a home and a project of this test.

All of its times are moved by whole days, so that 0.1 was stopped within the last day, whenever the test runs.
"""

import base64
import hashlib
import json
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import redis

from app.localstack import Server, start_servers, stop_servers
from app.localstack.embedded import ensure
from app.localstack.home import open_home, passwords
from app.localstack.postgres import Postgres
from batchord.catalog.editions import stamp

FIXTURE = Path(__file__).parents[1] / "fixtures" / "release_0_1"
#: What stands in the fixture for the folder of the project.
_PROJECT = "@PROJECT@"
#: A little after 0.1 was stopped, and for how long it has been stopped at least: longer than messages stay taken, and
#: than the hour after which a pipeline is due again.
_STOPPED_AT = datetime(2026, 11, 29, 11, 12, tzinfo=UTC)
_STOPPED_FOR = timedelta(minutes=70)
_MOVED = timedelta(days=(datetime.now(UTC) - _STOPPED_FOR - _STOPPED_AT) // timedelta(days=1))
#: Times in texts, and as RedBeat writes them; seconds since 1970.
_DAY = re.compile(r"\b(20\d\d)-(\d\d)-(\d\d)(?=[T ]\d\d:\d\d)")
_PARTS = re.compile(r'"year": (\d+), "month": (\d+), "day": (\d+)')
_SECONDS = range(1_700_000_000, 2_000_000_000)


def put_into(home: Path, project: Path) -> None:
    """Leaves everything as 0.1 left it: the servers stopped, the files with 0.1's import, messages on their way."""
    shutil.copytree(FIXTURE / "project", project, dirs_exist_ok=True)
    open_home(home)
    _put_database(home)
    server = start_servers(home, needs=[Server.REDIS])
    assert server.redis_url is not None
    with redis.Redis.from_url(server.redis_url) as client:
        for key, entry in kept_in_redis().items():
            _put_key(client, key, entry)
    stop_servers(home)
    _put_code(home, project)


def kept_in_redis() -> dict[str, dict[str, Any]]:
    """Every key as 0.1 left it, with its ``type`` and its ``value``; messages with their bodies as plain JSON."""
    kept: dict[str, dict[str, Any]] = _moved(json.loads((FIXTURE / "redis.json").read_text()))
    return kept


def _moved(value: Any) -> Any:
    """The same JSON with all times moved."""
    match value:
        case dict():
            return {key: _moved(each) for key, each in value.items()}
        case list():
            return [_moved(each) for each in value]
        case str():
            return _moved_text(value)
        case float() if int(value) in _SECONDS:
            return value + _MOVED.total_seconds()
        case _:
            return value


def _moved_text(text: str) -> str:
    def day(found: re.Match[str]) -> date:
        return date(*map(int, found.groups())) + _MOVED

    text = _DAY.sub(lambda found: day(found).isoformat(), text)
    return _PARTS.sub(lambda found: '"year": {0.year}, "month": {0.month}, "day": {0.day}'.format(day(found)), text)


def _put_database(home: Path) -> None:
    """By the superuser. A home of 0.1 has the same passwords as one of today."""
    kept = passwords(home)
    server = Postgres(home=home, password=kept.postgres)
    with psycopg.connect(server.url(ensure(home, server)), autocommit=True) as connection:
        connection.execute((FIXTURE / "roles.sql").read_bytes())
        for role in ("owner", "ledger", "author", "source"):
            password = getattr(kept, f"postgres_{role}")
            connection.execute(cast("LiteralString", f"ALTER ROLE batchord_{role} PASSWORD '{password}'"))
        connection.execute(_moved_text((FIXTURE / "database.sql").read_text()).encode())
    stop_servers(home)


def _put_key(client: redis.Redis, key: str, entry: dict[str, Any]) -> None:
    value = entry["value"]
    match entry["type"]:
        case "list":
            client.rpush(key, *(json.dumps(_sent(message)) for message in value))
        case "set":
            client.sadd(key, *value)
        case "zset":
            client.zadd(key, dict(value))
        case "hash" if key == "unacked":
            taken = {tag: json.dumps([_sent(message), *where]) for tag, (message, *where) in value.items()}
            client.hset(key, mapping=taken)
        case "hash":
            client.hset(key, mapping=value)
        case _:
            client.set(key, value)
    if "left" in entry:
        client.pexpire(key, entry["left"])


def _sent(message: dict[str, Any]) -> dict[str, Any]:
    """As Kombu wrote it: its body in base64."""
    return {**message, "body": base64.b64encode(json.dumps(message["body"]).encode()).decode()}


def _put_code(home: Path, project: Path) -> None:
    """The kept edition, at the place of this project's folder; its files look as they did when they were read."""
    folder = (project / "pipelines").resolve()
    place = home / "code" / hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    shutil.copytree(FIXTURE / "code", place)
    edition = _moved(json.loads((FIXTURE / "code" / "edition.json").read_text().replace(_PROJECT, str(folder.parent))))
    edition["stamps"] = {path: stamp(path) for path in edition["stamps"]}
    (place / "edition.json").write_text(json.dumps(edition))
