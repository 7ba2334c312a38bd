"""Formats a process's own log: text for people or JSON for collectors, with the attempt and without secrets."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from batchord.core.run.logs import AttemptName
from batchord.core.secrets.key_blocks import KeyBlocks
from batchord.core.text.visible import as_one_entry
from batchord.flow.attempt.log import current

_TEXT = "%(asctime)s %(levelname)-7s %(processName)s %(name)s: %(attempt)s%(message)s"


def log_formatter(
    kind: Literal["text", "json"],
    *,
    mask: Callable[[str], str],
    more: Callable[[], Mapping[str, Any]] = dict,
) -> logging.Formatter:
    """The formatter of that kind. ``mask`` is applied to texts; ``more`` returns further fields of a JSON line."""
    return _Json(mask, more) if kind == "json" else _Text(mask)


class _Json(logging.Formatter):
    """One JSON object per line, with run_id, step, shard and attempt if there is an attempt."""

    def __init__(self, mask: Callable[[str], str], more: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__()
        self._mask = mask
        self._more = more
        self._blocks = KeyBlocks()

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": self._mask(self._blocks.masked(record.name, record.getMessage())),
            "process": record.process,
            **self._more(),
        }
        attempt = current()
        if attempt is not None:
            line |= attempt._asdict()
        if record.exc_info:
            line["exception"] = self._mask(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = self._mask(record.stack_info)
        return json.dumps(line, default=str)


class _Text(logging.Formatter):
    """One line per message, with ``[run step/shard #attempt]`` if there is an attempt.

    Further lines of a message, and lines of a traceback, begin with a mark, so that they cannot pass for messages.
    """

    def __init__(self, mask: Callable[[str], str]) -> None:
        super().__init__(_TEXT)
        self._mask = mask
        self._blocks = KeyBlocks()

    def format(self, record: logging.LogRecord) -> str:
        attempt = current()
        record.attempt = "" if attempt is None else f"[{_short(attempt)}] "
        # Mask first: an escape within a secret would hide it from the mask.
        return as_one_entry(self._mask(super().format(record)))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """Masks private keys, whose lines come one by one, before the other fields are added to the line."""
        record.message = self._blocks.masked(record.name, record.message)
        return super().formatMessage(record)


def _short(name: AttemptName) -> str:
    shard = "" if name.shard is None else f"/{name.shard}"
    return f"{name.run_id} {name.step}{shard} #{name.attempt}"
