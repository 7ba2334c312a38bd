"""How a process writes its own log: ids, secrets and errors in both formats."""

import json
import logging
import sys
from typing import Any, Literal

import pytest

from batchord.core.run.logs import AttemptName
from batchord.core.secrets.patterns import masked
from batchord.flow.attempt.log import attempt_log
from tests.contracts.kept_logs import KeptLogs
from workers.log_format import log_formatter

SHARD = AttemptName("01970000-0000-7000-8000-000000000001", "score", 3, 2)


def formatted(kind: Literal["text", "json"], message: str, *values: Any, error: bool = False, **options: Any) -> str:
    """One line of the log, with ``hunter2`` masked."""
    record = logging.LogRecord("my.module", logging.INFO, "file", 1, message, values, sys.exc_info() if error else None)
    return log_formatter(kind, mask=lambda text: text.replace("hunter2", "***"), **options).format(record)


def in_attempt(name: AttemptName, kind: Literal["text", "json"], message: str, **options: Any) -> str:
    """As :func:`formatted`, in an attempt."""
    with attempt_log(KeptLogs(), name, worker="w", limit_bytes=1000, mask=str):
        return formatted(kind, message, **options)


def test_a_line_of_json_says_where_it_belongs() -> None:
    """Run, step, shard and attempt; no shard for a step as a whole."""
    line = json.loads(in_attempt(SHARD, "json", "hello"))
    assert {name: line[name] for name in ("level", "logger", "message")} == {
        "level": "INFO",
        "logger": "my.module",
        "message": "hello",
    }
    assert {name: line[name] for name in AttemptName._fields} == SHARD._asdict()
    assert json.loads(in_attempt(SHARD._replace(shard=None), "json", "hello"))["shard"] is None
    assert "run_id" not in json.loads(formatted("json", "hello"))


def test_a_line_of_json_has_further_fields() -> None:
    """Those of an attempt win: a task's arguments say less."""
    more = {"task": "batchord.predict_shard", "shard": 99}
    line = json.loads(in_attempt(SHARD, "json", "hello", more=lambda: more))
    assert (line["task"], line["shard"]) == ("batchord.predict_shard", 3)
    assert json.loads(formatted("json", "hello", more=lambda: more))["shard"] == 99


def test_a_line_of_text_says_where_it_belongs() -> None:
    """In brackets before the message; outside of attempts nothing is said."""
    assert in_attempt(SHARD, "text", "hello").endswith(f" my.module: [{SHARD.run_id} score/3 #2] hello")
    assert in_attempt(SHARD._replace(shard=None), "text", "hello").endswith(f"[{SHARD.run_id} score #2] hello")
    assert formatted("text", "hello").endswith(" my.module: hello")


@pytest.mark.parametrize("kind", ["text", "json"])
def test_secrets_are_masked(kind: Literal["text", "json"]) -> None:
    """In the message and in the traceback."""
    try:
        int("hunter2")
    except ValueError:
        line = formatted(kind, "password %s", "hunter2", error=True)

    assert "hunter2" not in line
    assert "password ***" in line
    assert "invalid literal for int() with base 10: '***'" in line


def test_a_line_of_text_steers_no_terminal() -> None:
    """Control characters are written out; lines and tabs stay."""
    assert formatted("text", "a\x1b[2J\r\x9b\ud800\x7f\tb\nc").endswith("a\\x1b[2J\\x0d\\x9b\\ud800\\x7f\tb\n  | c")


FORGED = "2026-11-29 02:00:00,000 INFO    MainProcess batchord: all records are predicted"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_message_forges_no_line(end: str) -> None:
    """Whichever character ends a line for a reader of the log, only the first line has the prefix of a log line."""
    entry = formatted("text", "careful %s", f"x{end}{FORGED}")

    first, *more = entry.splitlines()
    assert "careful x" in first
    assert all(line.startswith("  | ") for line in more)


def test_a_traceback_stays_readable() -> None:
    """Line by line, each marked as a part of the entry."""
    try:
        int("x")
    except ValueError:
        lines = formatted("text", "failed", error=True).splitlines()

    assert lines[0].endswith("my.module: failed")
    assert lines[1] == "  | Traceback (most recent call last):"
    assert lines[-1].startswith("  | ValueError: ")


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_key_that_is_logged_line_by_line_is_masked(kind: Literal["text", "json"]) -> None:
    """As a command's output comes; other loggers' lines in between stay."""
    formatter = log_formatter(kind, mask=masked)
    said = [
        "begin",
        "-----BEGIN RSA PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEA7bq",
        "x8Qx",
        "-----END RSA PRIVATE KEY-----",
        "end",
    ]

    lines = [
        formatter.format(logging.LogRecord(name, logging.INFO, "file", 1, "%s", (text,), None))
        for text in said
        for name in (["my.module", "other"] if text == "begin" else ["my.module"])
    ]

    assert not any(part in line for line in lines for part in ("MIIE", "x8Qx"))
    assert all("***" in line for line in lines[2:-1])
    assert sum("begin" in line for line in lines) == 2
    assert "end" in lines[-1]
