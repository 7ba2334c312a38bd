"""What is kept of many lines, of long ones and of odd ones."""

import pytest

from tests.contracts.kept_logs import KeptLogs
from tests.unit.flow.attempt.attempt_logs import opened


@pytest.fixture
def store() -> KeptLogs:
    """A store in memory."""
    return KeptLogs()


def test_parts_are_of_a_bounded_size(store: KeptLogs) -> None:
    """Many lines at once are several parts, numbered and in order."""
    with opened(store) as log:
        for number in range(3000):
            log.line("bash", f"{number:0100}")

    assert [part.part for part in store.parts] == list(range(len(store.parts)))
    assert [int(message) for message in store.messages()] == list(range(3000))
    assert max(sum(len(line.message) for line in part.lines) for part in store.parts) <= 64 * 1024


def test_of_too_many_lines_the_first_and_the_last_are_kept(store: KeptLogs) -> None:
    """And it is said how many are missing; memory and store stay bounded."""
    with opened(store, limit_bytes=20_000, flush_seconds=0.01) as log:
        for number in range(10_000):
            log.line("bash", f"{number:036}")

    messages = store.messages()
    gap = next(index for index, message in enumerate(messages) if "left out" in message)
    first, last = messages[:gap], messages[gap + 1 :]
    assert [int(message) for message in first] == list(range(100))
    assert [int(message) for message in last] == list(range(9_900, 10_000))
    assert messages[gap] == "… 9,800 lines, 352,800 bytes left out …"
    assert store.parts[-1].lines[-1].level == "INFO"


def test_what_just_fits_is_kept_whole(store: KeptLogs) -> None:
    """Nothing is said to be missing then."""
    with opened(store, limit_bytes=20_000) as log:
        for number in range(200):
            log.line("bash", f"{number:036}")

    assert [int(message) for message in store.messages()] == list(range(200))


def test_a_long_line_keeps_its_beginning_and_its_end(store: KeptLogs) -> None:
    """A secret at a cut is masked before."""
    with opened(store, mask=lambda text: text.replace("hunter2-hunter2", "***")) as log:
        log.line("bash", "begin " + "ü" * 2040 + "hunter2-hunter2" + "x" * 1_000_000 + " end")

    (message,) = store.messages()
    assert len(message.encode()) < 8 * 1024 + 100
    assert message.startswith("begin üü")
    assert message.endswith("xx end")
    assert "bytes left out" in message
    assert "hunter" not in message


def test_what_no_store_can_hold_is_written_visibly(store: KeptLogs) -> None:
    """NUL and lone surrogates."""
    with opened(store) as log:
        log.line("bash", "a\x00b\udc80")

    assert store.messages() == ["a\\u0000b\\udc80"]


def test_secrets_are_masked_and_a_mask_that_fails_shows_nothing(store: KeptLogs) -> None:
    """The work goes on."""

    def mask(text: str) -> str:
        if "bad" in text:
            raise ValueError(text)
        return text.replace("hunter2", "***")

    with opened(store, mask=mask) as log:
        log.line("bash", "password is hunter2")
        log.line("bash", "bad hunter2")

    assert store.messages() == [
        "password is ***",
        "(this line was dropped: masking its secrets failed with ValueError)",
    ]


def test_lines_keep_their_order_when_the_clock_steps_back(store: KeptLogs) -> None:
    """Stores sort by time."""
    with opened(store) as log:
        log.add(2000.0, "INFO", "a", "first")
        log.add(1000.0, "INFO", "a", "second")

    first, second = store.parts[0].lines
    assert first.time == second.time
