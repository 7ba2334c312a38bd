"""Logs of the local stack get new files while their processes write on."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.localstack import LogRotation, Supervisor, rotation
from tests.integration.stack_processes import spec
from tests.waiting import wait_until

#: Writes numbered lines of different lengths to a log, as workers, PostgreSQL and Valkey do: by appending. It ends when
#: there is a file of the second name.
_WRITER = """
import itertools, os, sys
for i in itertools.count():
    os.write(1, b"%s %d %s\\n" % (sys.argv[1].encode(), i, b"y" * (i % 90)))
    if i % 500 == 0 and os.path.exists(sys.argv[2]):
        break
"""


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """A folder beside the code, since /tmp is in memory on some machines."""
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix=".rotation-") as folder:
        yield Path(folder)


def files(log: Path) -> list[Path]:
    """The log's files, the oldest first."""
    return [*sorted(log.parent.glob(f"{log.name}.*"), key=lambda file: -int(file.suffix[1:])), log]


def test_no_line_is_lost_or_broken(on_disk: Path) -> None:
    """Each line is in one file, whole and in its order, if the file system can cut off the beginning of a file.

    Elsewhere lines may be missing, but none is broken or double.
    """
    log, stop = on_disk / "worker.log", on_disk / "stop"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    command = [sys.executable, "-c", _WRITER]
    writers = [subprocess.Popen([*command, name, str(stop)], stdout=descriptor) for name in ("a", "b")]
    os.close(descriptor)
    while len(files(log)) < 5:
        LogRotation(most_bytes=200_000, kept=1000).rotate(on_disk)
    stop.touch()
    assert [writer.wait() for writer in writers] == [0, 0]
    lines = [line.split(b" ") for file in files(log) for line in file.read_bytes().splitlines() if line.strip()]
    assert {len(line) for line in lines} == {3}
    for name in (b"a", b"b"):
        numbers = [int(number) for writer, number, _ in lines if writer == name]
        assert numbers == (list(range(len(numbers))) if can_collapse(on_disk) else sorted(set(numbers)))


def can_collapse(folder: Path) -> bool:
    """What the folder's file system can do."""
    with (folder / "probe").open("wb+") as probe:
        probe.write(b"x" * 100_000)
        probe.flush()
        return rotation._collapse(probe.fileno(), 65_536)  # noqa: SLF001 -- the only one who knows


def test_elsewhere_the_file_is_cut_off_after_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system in memory: what was written before is in the old file, and the log goes on."""
    monkeypatch.setattr(rotation, "_collapse", lambda *_: False)
    log = tmp_path / "worker.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    text = b"".join(b"line %d\n" % number for number in range(10_000))
    os.write(descriptor, text)
    LogRotation(most_bytes=50_000, kept=1).rotate(tmp_path)
    os.write(descriptor, b"after\n")
    os.close(descriptor)
    assert (tmp_path / "worker.log.1").read_bytes() == text
    assert log.read_bytes() == b"after\n"


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_only_so_many_old_files_are_kept(tmp_path: Path, kept: int) -> None:
    """The newest; those that an earlier, greater number kept are deleted, too. Nobody else may read them."""
    log = tmp_path / "beat.log"
    for number in range(6):
        log.write_bytes(b"%d\n" % number * 5_000)
        LogRotation(most_bytes=5_000, kept=3 if number < 4 else kept).rotate(tmp_path)
    old = files(log)[:-1]
    assert [file.name for file in old] == [f"beat.log.{number}" for number in range(kept, 0, -1)]
    assert [file.read_bytes()[:1] for file in old] == [b"%d" % number for number in range(6 - kept, 6)]
    assert {file.stat().st_mode & 0o777 for file in old} <= {0o600}
    assert log.stat().st_size < 5_000


def test_a_short_log_stays(tmp_path: Path) -> None:
    """Up to its size."""
    (tmp_path / "beat.log").write_text("short\n")
    LogRotation().rotate(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["beat.log"]


def test_a_log_that_cannot_be_rotated_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The stack runs on."""
    (tmp_path / "beat.log").write_text("x" * 100)
    (tmp_path / "beat.log.1").mkdir()
    (tmp_path / "beat.log.1" / "file").touch()
    LogRotation(most_bytes=10, kept=1).rotate(tmp_path)
    assert "beat.log has grown too long, and no new file could be begun" in caplog.text


def test_the_supervisor_rotates_the_logs_of_its_processes(own_home: Path) -> None:
    """Without a restart of the process."""
    talker = spec("talker", "import time\nwhile True: print('word ' * 200, flush=True); time.sleep(0.001)")
    with Supervisor([talker], own_home, rotation=LogRotation(most_bytes=65_536, kept=2)) as supervisor:
        wait_until((own_home / "logs" / "talker.log.2").exists, description="two old files")
        assert supervisor.status()[0].restarts == 0
