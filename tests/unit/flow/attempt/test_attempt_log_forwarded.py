"""What an attempt prints goes to the process's own log, too, bounded as the attempt's log is."""

import logging
import sys
from collections.abc import Iterator

import pytest

from batchord.flow.attempt.log import install, uninstall
from tests.contracts.kept_logs import KeptLogs
from tests.unit.flow.attempt.attempt_logs import opened


@pytest.fixture
def _uninstalled() -> Iterator[None]:
    yield
    uninstall()


@pytest.mark.usefixtures("_uninstalled")
def test_who_prints_without_end_does_not_fill_the_workers_log(caplog: pytest.LogCaptureFixture) -> None:
    """One line says so; the next attempt has its own bound, and what is logged is not bounded."""
    install(log_printed=True)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            caplog.clear()
            with opened(KeptLogs(), limit_bytes=1000):
                for _ in range(500):
                    sys.stdout.write("x" * 36 + "\n")
                logging.getLogger("mine").info("logged")
            printed = [record.getMessage() for record in caplog.records if record.name == "batchord.output"]
            assert printed[:-1] == ["x" * 36] * 10
            assert "more than 1000 bytes" in printed[-1]
            assert caplog.records[-1].getMessage() == "logged"


@pytest.mark.usefixtures("_uninstalled")
def test_a_line_beyond_the_bound_is_not_forwarded(caplog: pytest.LogCaptureFixture) -> None:
    """However long it is."""
    install(log_printed=True)
    with caplog.at_level(logging.INFO), opened(KeptLogs(), limit_bytes=1000):
        sys.stdout.write("x" * 1_000_000 + "\n")
    (record,) = caplog.records
    assert "more than 1000 bytes" in record.getMessage()
