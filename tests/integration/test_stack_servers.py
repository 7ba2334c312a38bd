"""The embedded servers: started once, found again, restarted, stopped, whatever happened to them before."""

import json
import os
import signal
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis

from app.localstack import (
    ALL_SERVERS,
    Server,
    daemons,
    server_status,
    start_servers,
    stop_servers,
    unconfigured_servers,
)
from app.localstack.addresses import embedded_servers
from app.localstack.home import passwords
from batchord.core.errors import ConfigurationError
from batchord.settings import Settings
from tests.waiting import wait_until

LIGHT = frozenset({Server.REDIS})


def pids(home: Path) -> dict[Server, int | None]:
    """Process ids by server."""
    return {status.name: status.pid for status in server_status(home)}


def modes(home: Path) -> set[int]:
    """The permissions of everything directly in the home and its run folder."""
    return {stat.S_IMODE(path.stat().st_mode) for path in [home, *home.iterdir(), *(home / "run").iterdir()]}


def test_all_servers_answer_and_settings_find_them(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What start_servers returns is what the settings of another process read, and it works."""
    servers = start_servers(own_home, durable=False)
    monkeypatch.setenv("BATCHORD_HOME", str(own_home))
    settings = Settings()
    assert settings.require_database_url() == servers.database_url
    assert settings.require_redis_url() == servers.redis_url
    assert settings.s3_endpoint_url == servers.s3_endpoint_url
    with psycopg.connect(settings.require_database_url()) as connection:
        facts = connection.execute(
            "SELECT current_database(), current_setting('max_connections'), current_setting('listen_addresses'),"
            " current_setting('max_prepared_transactions'), current_setting('server_encoding')"
        ).fetchone()
    assert facts == ("batchord", "200", "127.0.0.1", "20", "UTF8")
    with redis.Redis.from_url(settings.require_redis_url()) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert {status.state for status in server_status(own_home)} == {"running"}
    assert modes(own_home) <= {0o600, 0o700}


def test_passwords_are_asked_for_and_never_shown(own_home: Path) -> None:
    """No password is in a command line, a log, a repr or a status, and none lets anybody in without it."""
    servers = start_servers(own_home, durable=False)
    secrets = json.loads((own_home / "passwords.json").read_text())
    shown = repr(servers) + repr(server_status(own_home))
    for pid in pids(own_home).values():
        shown += Path(f"/proc/{pid}/cmdline").read_text()
    shown += "".join(log.read_text() for log in (own_home / "logs").iterdir())
    assert not [name for name, secret in secrets.items() if secret in shown]
    assert servers.database_url is not None
    assert servers.redis_url is not None
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(servers.database_url.replace(secrets["postgres_ledger"], "wrong"))
    with (
        redis.Redis.from_url(servers.redis_url.replace(secrets["redis"], "wrong")) as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()


def test_a_server_answers_only_to_its_own_password(own_home: Path) -> None:
    """Otherwise another program on the port, such as the server of another home, would pass for it."""
    start_servers(own_home, needs=[Server.REDIS, Server.S3])
    right = passwords(own_home)
    for name, wrong in ((Server.REDIS, {"redis": "wrong"}), (Server.S3, {"s3_secret_access_key": "wrong"})):
        daemon = daemons.find(own_home, name)
        assert daemon is not None
        assert embedded_servers(own_home, right, durable=True)[name].answers(daemon.port)
        assert not embedded_servers(own_home, replace(right, **wrong), durable=True)[name].answers(daemon.port)
        assert not embedded_servers(own_home, right, durable=True)[name].answers(1)


def test_running_servers_are_used_again(own_home: Path) -> None:
    """A second start, as after the first starter was killed, finds the same processes and addresses."""
    first, before = start_servers(own_home, durable=False), pids(own_home)
    (own_home / "servers.json").unlink()
    assert start_servers(own_home, durable=False) == first
    assert pids(own_home) == before


def test_data_survive_a_stop_and_a_kill(own_home: Path) -> None:
    """After an orderly stop, and after SIGKILL, the same address gives the same data."""
    servers = start_servers(own_home, durable=False)
    assert servers.database_url is not None
    assert servers.redis_url is not None
    with psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('ledger')")
    with redis.Redis.from_url(servers.redis_url) as client:
        client.set("kept", "message")
    stop_servers(own_home)
    assert not (own_home / "servers.json").exists()
    assert {status.state for status in server_status(own_home)} == {"stopped"}
    assert start_servers(own_home, durable=False) == servers
    for pid in pids(own_home).values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(pids(own_home).values()), description="all servers are dead")
    assert start_servers(own_home, durable=False) == servers
    with psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SELECT word FROM kept").fetchall() == [("ledger",)]
    with redis.Redis.from_url(servers.redis_url) as client:
        assert client.get("kept") == b"message"


def test_a_port_that_was_taken_is_chosen_anew(own_home: Path) -> None:
    """A foreign listener on the old port moves the server, and is not mistaken for it."""
    first = start_servers(own_home, needs=LIGHT)
    stop_servers(own_home)
    assert first.redis_url is not None
    port = int(first.redis_url.rpartition(":")[2].partition("/")[0])
    with socket.create_server(("127.0.0.1", port)):
        second = start_servers(own_home, needs=LIGHT)
    assert second.redis_url != first.redis_url


def test_a_foreign_process_with_the_noted_pid_is_left_alone(own_home: Path) -> None:
    """A pid that was given to somebody else since is neither used nor killed."""
    start_servers(own_home, needs=LIGHT)
    stop_servers(own_home)
    note = own_home / "run" / "redis.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"pid": os.getpid()}))
    assert pids(own_home)[Server.REDIS] is None
    stop_servers(own_home)  # would end this very test run
    assert start_servers(own_home, needs=LIGHT).redis_url is not None


def test_two_starts_at_once_share_the_servers(own_home: Path) -> None:
    """Starts of one home take turns: the second finds what the first started."""
    barrier = threading.Barrier(2)

    def start(_: int) -> object:
        barrier.wait()
        return start_servers(own_home, needs=LIGHT)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(start, range(2))
    assert first == second


def test_two_homes_do_not_collide(own_home: Path) -> None:
    """Stopping one home's servers leaves the other's alone."""
    one, other = own_home / "one", own_home / "other"
    assert start_servers(one, needs=LIGHT) != start_servers(other, needs=LIGHT)
    stop_servers(one)
    try:
        assert pids(other)[Server.REDIS] is not None
    finally:
        stop_servers(other)


def test_a_server_keeps_no_descriptor_of_its_starter(own_home: Path) -> None:
    """A shell's lock or pipe around a command ends with the command, not with the server that it started."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)  # noqa: FBT003 -- the function's own signature
    os.set_blocking(reading, False)
    try:
        start_servers(own_home, needs=LIGHT)
    finally:
        os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_a_deep_home_works(own_home: Path) -> None:
    """No path of a socket limits where the home may be, nor a space or a quote in its name."""
    deep = own_home.joinpath(*['a "deep" folder'] * 12)
    try:
        assert start_servers(deep, needs={Server.POSTGRES, Server.REDIS}, durable=False).database_url is not None
    finally:
        stop_servers(deep)


def test_a_shared_folder_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """A folder like /tmp is not taken over: its permissions stay."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(ConfigurationError, match="BATCHORD_HOME"):
        start_servers(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    assert not list(shared.iterdir())


def test_only_unconfigured_servers_are_needed() -> None:
    """A server that the environment names is the operator's own and is not started."""
    assert unconfigured_servers(()) == ALL_SERVERS
    assert unconfigured_servers({"database_url"}) == {Server.REDIS, Server.S3}
    assert Server.S3 not in unconfigured_servers({"s3_access_key_id"})
