"""The workers that answer are asked in the background."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from textwrap import dedent

from app.cli.answering import AnsweringWorkers
from batchord.reports.queue_board import WorkerReport
from tests.waiting import wait_until

_IDLE = WorkerReport(name="control@a", queues=["control"], processes=4, tasks=0)


def test_a_question_that_fails_is_asked_again() -> None:
    """Until it is answered, nobody knows the workers; an answer that is followed by a failure is not kept."""
    answers: Iterator[Sequence[WorkerReport] | None] = iter([None, [_IDLE], None])

    def ask() -> Sequence[WorkerReport]:
        answer = next(answers, [])
        if answer is None:
            raise ConnectionRefusedError("Redis is away")
        return answer

    workers = AnsweringWorkers(ask, every=0.2)
    workers.start()
    seen: list[Sequence[WorkerReport] | None] = [workers.newest(wait=10.0)]

    def ended() -> bool:
        if workers.newest() != seen[-1]:
            seen.append(workers.newest())
        return seen[-1] == []

    try:
        wait_until(ended, description="the last answer")
        assert seen == [None, [_IDLE], None, []]
    finally:
        workers.stop()


def test_nobody_waits_if_nobody_asks() -> None:
    """Where no Redis is configured."""
    assert AnsweringWorkers(list).newest(wait=60.0) is None


def test_celery_is_loaded_before_it_is_asked_in_another_thread() -> None:
    """Celery and Kombu replace themselves while they are loaded; an import of them in a second thread then fails."""
    code = """
        import sys
        from app.cli.answering import AnsweringWorkers
        def ask():
            print("app.celery" in sys.modules)
            return []
        workers = AnsweringWorkers(ask)
        workers.start()
        workers.newest(wait=60.0)
    """
    said = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout == "True\n"
