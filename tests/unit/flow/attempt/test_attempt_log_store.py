"""When an attempt's lines are written, and what becomes of them where the store fails."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from batchord.core.errors import ConfigurationError, TransientError
from batchord.flow.attempt.log import install, uninstall
from tests.contracts.kept_logs import KeptLogs
from tests.unit.flow.attempt.attempt_logs import opened
from tests.waiting import wait_until

_log = logging.getLogger("my.module")


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    install()
    yield
    uninstall()


@pytest.fixture
def store() -> KeptLogs:
    """A store in memory."""
    return KeptLogs()


def test_an_attempt_without_lines_costs_nothing(store: KeptLogs) -> None:
    """No thread and no write."""
    before = threading.active_count()
    with opened(store):
        assert threading.active_count() == before
    _log.warning("outside")

    assert store.calls == 0
    assert threading.active_count() == before


def test_lines_are_seen_while_the_attempt_works(store: KeptLogs) -> None:
    """Soon after they were said, part by part."""
    with opened(store, flush_seconds=0.01) as log:
        for number in range(3):
            log.line("bash", f"line {number}")
            wait_until(lambda wanted=number: len(store.messages()) == wanted + 1, description="the line is there")

    assert [part.part for part in store.parts] == [0, 1, 2]


@pytest.mark.parametrize("error", [TransientError("away"), ConfigurationError("no bucket"), RuntimeError("a bug")])
def test_a_store_that_fails_costs_its_lines_and_no_work(
    store: KeptLogs, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The process's own log says which lines are lost; a passing failure is tried once more."""
    store.fail_with = error

    with opened(store, flush_seconds=0.01) as log:
        log.line("bash", "one")
        log.line("bash", "two")

    assert not store.parts
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "attempt 1 at step score, shard 3" in warning
    assert "lacks its last 2 lines" in warning
    assert str(error) in warning


def test_lines_wait_until_the_store_is_back(store: KeptLogs) -> None:
    """Those it had taken, though its answer was lost, are not there twice."""
    store.fail_with = TransientError("away")

    with opened(store, flush_seconds=0.01) as log:
        for number in range(3):
            log.line("bash", f"{number}")
            wait_until(lambda asked=store.calls: store.calls > asked, description="another try")
        store.fail_with = None

    assert store.messages() == ["0", "1", "2"]
    assert [part.part for part in store.parts] == list(range(len(store.parts)))


def test_a_part_of_which_the_answer_was_lost_is_sent_as_it_was() -> None:
    """New lines are another part's: the store keeps the first of a number."""

    class Forgetful(KeptLogs):
        def append(self, part: Any) -> None:
            super().append(part)
            if self.calls <= 2:
                raise TransientError("the answer was lost")

    store = Forgetful()
    with opened(store, flush_seconds=0.01) as log:
        log.line("bash", "one")
        wait_until(lambda: store.calls, description="the first try")
        log.line("bash", "two")

    assert store.messages() == ["one", "two"]


def test_what_the_store_itself_logs_is_not_the_attempts() -> None:
    """Else each write would cause another."""

    class Talking(KeptLogs):
        def append(self, part: Any) -> None:
            _log.warning("writing")
            super().append(part)

    store = Talking()
    with opened(store, flush_seconds=0.01):
        _log.info("line")
        wait_until(lambda: store.calls, description="a write while the attempt works")

    assert store.messages() == ["line"]
    assert store.calls == 1


def test_a_store_that_hangs_holds_up_no_worker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is waited for some seconds, here less."""
    monkeypatch.setattr("batchord.flow.attempt.log.writer._LAST_SECONDS", 0.05)
    answer = threading.Event()

    class Hanging(KeptLogs):
        def append(self, part: Any) -> None:
            answer.wait(30)
            super().append(part)

    store = Hanging()
    with opened(store) as log:
        log.line("bash", "line")
    assert "has not answered" in caplog.text
    answer.set()
    wait_until(store.messages, description="the thread goes on")


def test_without_a_thread_the_lines_are_written_at_the_end(store: KeptLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine cannot start another thread."""

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, opened(store):
        patch.setattr(threading.Thread, "start", refuse)
        _log.info("one")
        _log.info("two")

    assert store.messages() == ["one", "two"]
