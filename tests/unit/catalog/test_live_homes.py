"""What a process finds out about edited files is kept in its home, for it and for others."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from batchord.catalog import LiveCatalog, live
from tests.unit.catalog.live_catalog import Open, call, scoring
from tests.unit.catalog.pipeline_files import Write, sound

_ROOT = Path(__file__).parents[3]


def test_where_the_kept_text_does_not_load_either_the_new_problem_is_told(
    catalog: Open, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade, when the correction of a file has a slip: the author has left the old problem behind."""
    monkeypatch.setenv("LIVE_TEST", "set")
    write("a.py", scoring("a", "1", head="import os\nos.environ['LIVE_TEST']"))
    write("b.py", sound("b"))
    assert catalog().problems == []
    monkeypatch.delenv("LIVE_TEST")

    write("a.py", "raise ValueError('a slip')")
    newest = catalog()

    (problem,) = newest.problems
    assert (newest.names(), problem.file, problem.what) == (["b"], "a.py", "line 1: ValueError: a slip")


def test_a_command_does_not_decide_that_a_file_is_broken(
    catalog: Open, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shell may lack a variable that the workers have, so its result holds for this command only."""
    write("a.py", scoring("a", "1", head="import os\nos.environ['LIVE_TEST']"))
    monkeypatch.setenv("LIVE_TEST", "set")
    worker = catalog()
    assert worker.names() == ["a"]
    monkeypatch.delenv("LIVE_TEST")
    write("b.py", sound("b"))

    command = LiveCatalog(tmp_path, worker._store.place.parents[1])  # noqa: SLF001 -- the same home

    assert "LIVE_TEST" in str(command.problems[0])
    monkeypatch.setenv("LIVE_TEST", "set")
    assert (worker.names(), worker.problems) == (["a", "b"], [])


def test_a_folder_without_files_is_saved_for_others(
    catalog: Open, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    """As at the first `batchord up` in a new project: there is nothing to warn of, and the first file is taken up."""
    assert catalog().names() == []
    assert caplog.messages == []

    write("a.py", sound("a"))

    assert catalog().names() == ["a"]


def test_an_unwritable_home_is_done_without(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process tries the files by itself then."""
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.0)
    write("a.py", scoring("a", "1"))
    blocked = tmp_path / "home"
    blocked.write_text("no folder", encoding="utf-8")
    running = LiveCatalog(tmp_path, blocked, decides=True)
    assert call(running, "a") == 1

    write("a.py", scoring("a", "2"))
    assert call(running, "a") == 2

    write("a.py", "broken(")
    assert call(running, "a") == 2


def test_what_others_wrote_into_the_home_is_not_executed(catalog: Open, write: Write) -> None:
    """A text that is not the one that was kept is not taken; the file itself is."""
    write("a.py", scoring("a", "1"))
    first = catalog()
    assert first.names() == ["a"]
    place = first._store.place  # noqa: SLF001 -- where somebody else might write
    assert place.stat().st_mode & 0o077 == 0
    for text in (place / "texts").iterdir():
        text.write_bytes(text.read_bytes().replace(b"return 1", b"return 6"))

    assert call(catalog(), "a") == 1


def test_processes_of_one_machine_share_what_was_tried(catalog: Open, write: Write, tmp_path: Path) -> None:
    """A process that begins loads what is kept, without a trial of its own."""
    write("a.py", scoring("a", "1"))
    running = catalog()
    assert running.names() == ["a"]
    (file,) = running._store.place.glob("edition.json")  # noqa: SLF001 -- where another process finds it
    code = f"""
        import json
        from pathlib import Path
        from batchord.catalog import LiveCatalog, takeup

        def no_trial(*_):
            raise AssertionError
        takeup.try_files = no_trial
        catalog = LiveCatalog(Path({str(tmp_path)!r}), Path({str(file.parents[2])!r}))
        print(json.dumps(catalog.names()))
    """

    ended = subprocess.run(
        [sys.executable, "-c", dedent(code)], cwd=_ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert json.loads(ended.stdout) == ["a"]


def test_a_home_without_room_is_tried_no_more_often_than_files_change(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process reuses its own result until a file changes."""
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.0)
    tried: list[Path] = []
    take_up = live.take_up
    monkeypatch.setattr(live, "take_up", lambda *args: tried.append(args[0]) or take_up(*args))
    write("a.py", sound("a"))
    blocked = tmp_path / "home"
    blocked.write_text("no folder", encoding="utf-8")
    running = LiveCatalog(tmp_path, blocked, decides=True)

    for _ in range(3):
        assert running.names() == ["a"]

    assert len(tried) == 1


def test_a_process_that_cannot_be_started_leaves_what_there_is(
    catalog: Open, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without memory for another process still runs the pipelines that it has loaded."""
    write("a.py", scoring("a", "1"))
    running = catalog()
    assert call(running, "a") == 1

    def no_room(*_: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr("batchord.catalog.takeup.try_files", no_room)
        write("a.py", scoring("a", "2"))
        assert call(running, "a") == 1

    assert call(running, "a") == 2
