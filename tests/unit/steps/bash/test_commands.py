"""What a command receives, and what is reported about its end."""

import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from batchord.core.errors import CommandFailed, ConfigurationError, OutOfTime
from batchord.output.masking import learn
from batchord.steps.bash.output import LONGEST_LAST_LINE
from tests.unit.steps.bash.commands import run


def test_the_last_line_that_is_not_blank_is_the_result() -> None:
    """What a command prints last is handed on, without the spaces around it."""
    assert run("echo one; echo '  two '; echo; echo ' '; echo err >&2") == "two"
    assert run("printf unfinished") == "unfinished"
    assert run("true") == ""


@pytest.mark.parametrize("before", [0, LONGEST_LAST_LINE - 10])
def test_the_last_line_holds_no_secret_and_no_half_of_one(before: int) -> None:
    """It is kept without being asked for; a cut must not go through the middle of what would have been masked."""
    hidden = "tr0ub4dor-of-the-last-line"
    learn([hidden])

    last = run(f"head -c {before} /dev/zero | tr '\\0' x; echo ' {hidden} and more'")

    assert hidden[:5] not in last
    assert last.startswith("x" * before)


def test_the_last_line_is_bounded() -> None:
    """Cut between characters."""
    last = run("printf 'a%.0s' {1..9}; printf 'ü%.0s' {1..5000}")
    assert last == "a" * 9 + "ü" * 2043


def test_lines_come_while_the_command_runs(tmp_path: Path) -> None:
    """The command waits for what the first line brings about."""
    go = tmp_path / "go"
    seen = []

    def on_line(stream: str, line: str) -> None:
        seen.append((stream, line))
        if line == "ready":
            go.touch()

    run(f"echo ready >&2; until [ -e {go} ]; do :; done; echo done", on_line=on_line)
    assert seen == [("stderr", "ready"), ("stdout", "done")]


def test_odd_bytes_are_replaced() -> None:
    """PostgreSQL keeps neither NUL nor bytes that are not UTF-8."""
    seen: list[str] = []
    run(r"printf 'a\0b\n\377c\r\nd'", on_line=lambda _, line: seen.append(line))
    assert seen == ["a\ufffdb", "\ufffdc", "d"]


@pytest.mark.parametrize("end", ["", "\\n"])
def test_a_long_line_comes_in_pieces_that_break_no_character(end: str) -> None:
    """A command that prints no line ends must not fill the memory."""
    seen: list[str] = []
    run(f"printf x; head -c 300000 /dev/zero | sed 's/\\x00/ü/g'; printf '{end}'", on_line=lambda _, x: seen.append(x))
    assert "".join(seen) == "x" + "ü" * 300_000
    assert max(len(each.encode()) for each in seen) <= 65_536


def test_a_million_lines_take_little_memory() -> None:
    """Lines are handed on, not kept."""
    count = 0

    def on_line(_stream: str, _line: str) -> None:
        nonlocal count
        count += 1

    before = psutil.Process().memory_info().rss
    assert run("seq 1000000", on_line=on_line) == "1000000"
    assert count == 1_000_000
    assert psutil.Process().memory_info().rss - before < 32 * 2**20


def test_both_streams_flow_and_lines_come_one_at_a_time() -> None:
    """Neither stream waits for the other's end, and no two lines are handed on at once."""
    lines = {"stdout": 0, "stderr": 0}
    inside = threading.Lock()

    def on_line(stream: str, _line: str) -> None:
        assert inside.acquire(blocking=False)
        lines[stream] += 1
        inside.release()

    run("seq 50000 & seq 50000 >&2; wait", on_line=on_line)
    assert lines == {"stdout": 50_000, "stderr": 50_000}


def test_the_environment_is_the_workers_and_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is given wins; the command reads nothing from standard input."""
    monkeypatch.setenv("OF_WORKER", "kept")
    monkeypatch.setenv("BOTH", "worker's")
    command = 'echo "$OF_WORKER $BOTH $PWD $(cat)"'
    assert run(command, env={"BOTH": "step's"}, cwd=str(tmp_path)) == f"kept step's {tmp_path}"


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("echo out; echo why >&2; exit 3", 3, "ended with exit code 3. Its last lines on stderr:\nwhy"),
        ("exit 4", 4, "wrote nothing to stderr"),
        ("no-such-command", 127, "no-such-command: command not found"),
        ("echo 'unclosed", 2, "unexpected EOF"),
        ("kill -9 $$", -9, "was ended by SIGKILL .*ran out of memory"),
        ("bash -c 'kill -9 $$'; exit $?", 137, "137: SIGKILL ended a part of it"),
        ("exit 255", 255, "exit code 255. It"),
    ],
)
def test_a_command_that_fails_says_how(command: str, code: int, says: str) -> None:
    """The exit code or the signal, and the end of what it wrote to stderr."""
    with pytest.raises(CommandFailed, match=says) as caught:
        run(command)
    assert caught.value.exit_code == code


def test_only_the_end_of_stderr_is_reported() -> None:
    """A message should fit on a page."""
    with pytest.raises(CommandFailed, match=r"line 100000$") as caught:
        run("seq -f 'line %.0f' 100000 >&2; exit 1")
    assert len(str(caught.value)) < 2500


def test_a_folder_that_is_not_there_is_the_authors(tmp_path: Path) -> None:
    """Trying again would not help."""
    with pytest.raises(ConfigurationError, match=r"nowhere.*not a folder on this worker"):
        run("true", cwd=str(tmp_path / "nowhere"))


def test_a_missing_bash_is_an_operator_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error names the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=rf"'bash' was not found\. Install bash.*{tmp_path}"):
        run("true")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take longer ones")
def test_a_command_that_is_too_long_is_the_authors() -> None:
    """Linux takes 128 KiB for one argument."""
    with pytest.raises(ConfigurationError, match="128 KiB"):
        run("true " + "x" * 200_000)


def test_a_command_that_is_too_slow_is_ended() -> None:
    """The error names the limit and what the command wrote to stderr."""
    begun = time.monotonic()
    with pytest.raises(OutOfTime, match=r"time limit of 0.3 s(.|\n)*still here"):
        run("echo still here >&2; sleep 1000", time_limit=0.3)
    assert time.monotonic() - begun < 5


def test_a_firehose_is_ended_too() -> None:
    """Output without a pause does not keep the clock from being read."""
    with pytest.raises(OutOfTime):
        run("yes", time_limit=0.3)


def test_running_commands_leaves_nothing_open() -> None:
    """It leaves no open files, threads or processes."""
    run("true")
    files, threads = psutil.Process().num_fds(), threading.active_count()
    for _ in range(20):
        run("echo hello")
    assert psutil.Process().num_fds() <= files
    assert threading.active_count() <= threads
