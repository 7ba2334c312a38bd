"""What an attempt logs and prints reaches its log, and no other's."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.attempt.log import current, install, uninstall
from batchord.flow.predict.stages import WriteBehind, read_ahead
from tests.contracts.kept_logs import KeptLogs
from tests.unit.flow.attempt.attempt_logs import NAME, opened

_log = logging.getLogger("my.module")


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    # pytest changes the streams between fixtures and tests: those that print install it once more.
    install()
    yield
    uninstall()


@pytest.fixture
def store() -> KeptLogs:
    """A store in memory."""
    return KeptLogs()


def test_what_is_logged_is_kept(store: KeptLogs) -> None:
    """With its level and its logger's name, under the attempt and its worker."""
    with opened(store):
        _log.info("epoch %d", 3)
        _log.warning("slow")
        _log.debug("below the level")

    (part,) = store.parts
    assert (part.attempt, part.part, part.worker) == (NAME, 0, "host:1")
    assert [(line.level, line.source, line.message) for line in part.lines] == [
        ("INFO", "my.module", "epoch 3"),
        ("WARNING", "my.module", "slow"),
    ]
    assert part.lines[0].time.tzinfo is not None


def test_an_error_is_kept_with_its_traceback(store: KeptLogs) -> None:
    """In the same line."""
    with opened(store):
        try:
            {}["gone"]
        except KeyError:
            _log.exception("it failed")

    (message,) = store.messages()
    assert message.startswith("it failed\nTraceback")
    assert message.endswith("KeyError: 'gone'")


def test_what_is_printed_is_kept_and_still_printed(store: KeptLogs, capsys: pytest.CaptureFixture[str]) -> None:
    """Line by line, in any way of printing. The last line needs no end."""
    install()
    with opened(store):
        print("one", "two")  # noqa: T201
        assert sys.stderr.write("thr") == 3
        sys.stderr.writelines(["ee\nfo", "ur\n\n"])
        print("five", end="")  # noqa: T201

    assert [(line.source, line.message) for line in store.parts[0].lines] == [
        ("stdout", "one two"),
        ("stderr", "three"),
        ("stderr", "four"),
        ("stderr", ""),
        ("stdout", "five"),
    ]
    assert capsys.readouterr() == ("one two\nfive", "three\nfour\n\n")


def test_a_progress_bar_is_one_line(store: KeptLogs) -> None:
    """As a terminal shows it."""
    install()
    with opened(store):
        for percent in range(101):
            sys.stderr.write(f"\r{percent}%")
        sys.stderr.write("\r\n")
        sys.stdout.write("from windows\r\n")

    assert store.messages() == ["100%", "from windows"]


def test_a_line_without_end_takes_no_memory_without_end(store: KeptLogs) -> None:
    """It is split at times, and only the beginning and the end of each long part are kept."""
    install()
    with opened(store) as log:
        for _ in range(100):
            sys.stdout.write("." * 1000)
            assert sum(map(len, log.partial.values())) <= 64 * 1024

    assert len(store.messages()) == 2
    assert all("bytes left out" in message for message in store.messages())


def test_printed_lines_are_logged_once_where_that_is_wished(
    store: KeptLogs, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Workers want this, because their log names the attempt. Nothing is printed to the stream itself then."""
    install(log_printed=True)

    with opened(store):
        print("hello")  # noqa: T201
        print("end", end="")  # noqa: T201
    print("outside")  # noqa: T201

    assert store.messages() == ["hello", "end"]
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("batchord.output", "hello"),
        ("batchord.output", "end"),
    ]
    assert capsys.readouterr().out == "outside\n"


def test_a_handler_that_writes_to_our_stream_does_not_go_on_for_ever(store: KeptLogs) -> None:
    """Someone added one after us."""
    install(log_printed=True)
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    try:
        with opened(store):
            print("hello")  # noqa: T201
    finally:
        logging.getLogger().removeHandler(handler)

    assert store.messages() == ["hello"]


def test_the_streams_are_otherwise_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    """Inside and outside of attempts; and they are back when it is undone."""
    install()
    ours = sys.stdout
    uninstall()
    assert sys.stdout is not ours
    for name in ("isatty", "fileno", "encoding", "errors", "flush", "buffer"):
        assert getattr(ours, name) == getattr(sys.stdout, name)
    with pytest.raises(TypeError), opened(KeptLogs()):
        ours.write(b"bytes")  # type: ignore[arg-type]
    assert capsys.readouterr().out == ""


def test_installing_twice_captures_once(store: KeptLogs) -> None:
    """And one undoing is enough."""
    install()
    with opened(store):
        _log.info("logged")
        print("printed")  # noqa: T201
    assert store.messages() == ["logged", "printed"]

    uninstall()
    with opened(store):
        _log.warning("not routed")
    assert len(store.messages()) == 2


def test_the_attempt_of_the_context_is_known(store: KeptLogs) -> None:
    """For formatters; also within another attempt."""
    inner = NAME._replace(step="next")
    assert current() is None
    with opened(store):
        assert current() == NAME
        with opened(store, inner):
            assert current() == inner
        assert current() == NAME
    assert current() is None


def test_helper_threads_log_to_their_attempt(store: KeptLogs) -> None:
    """Reading ahead, writing behind and the heartbeat."""
    beaten = threading.Event()

    def read() -> Iterator[int]:
        _log.info("read")
        yield 1

    def beat() -> None:
        if not beaten.is_set():
            _log.info("beat")
        beaten.set()

    with opened(store), Heartbeat(beat, every=0.01), read_ahead(read(), depth=1) as items:
        with WriteBehind[int](lambda _: _log.info("written"), depth=1) as writer:
            for item in items:
                writer.put(item)
        assert beaten.wait(10)

    assert sorted(store.messages()) == ["beat", "read", "written"]


def test_attempts_at_the_same_time_do_not_mix() -> None:
    """Each thread has its own; half-printed lines, too, are of one attempt."""
    install()
    stores = [KeptLogs() for _ in range(8)]
    barrier = threading.Barrier(len(stores))

    def work(index: int) -> None:
        barrier.wait()
        with opened(stores[index], NAME._replace(shard=index), flush_seconds=0.01):
            for number in range(300):
                _log.info("%d logged %d", index, number)
                sys.stdout.write(f"{index} prin")
                sys.stdout.write(f"ted {number}\n")

    threads = [threading.Thread(target=work, args=[index]) for index in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for index, store in enumerate(stores):
        assert store.messages() == [f"{index} {how} {number}" for number in range(300) for how in ("logged", "printed")]
        assert {part.attempt.shard for part in store.parts} == {index}


def test_an_error_of_the_work_passes_through(store: KeptLogs) -> None:
    """With what was said before it."""

    def work(say: Callable[[str], None]) -> None:
        say("before")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), opened(store):
        work(_log.info)

    assert store.messages() == ["before"]
