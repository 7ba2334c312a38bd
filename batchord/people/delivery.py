"""One message, or one look at an address: JSON comes in, JSON goes out, secrets stay here.

Run as a script by :mod:`batchord.people.notifier`; imports nothing of Batchord, so that it costs little.
Its answer is made of fixed words, numbers and what apprise publishes of its plugins, never of an error's text.
"""

import contextlib
import json
import logging
import math
import os
import re
import signal
import sys
from typing import Any

#: Seconds in which a receiver must take a connection, or answer; some plugins would wait for 30.
_PATIENCE = 8.0
#: How plugins log what a server said: with HTTP's status, or with SMTP's.
_STATUS = re.compile(r"error=(\d{3})\b|Exception: [^(]{0,200}\((\d{3}), |was refused: (\d{3}) ")


class _Statuses(logging.Handler):
    """Keeps the last status that a server answered with."""

    last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Looks for a status; the payload, which is logged too, may hold anything."""
        message = record.getMessage()
        if "Payload" not in message and (found := _STATUS.search(message)):
            self.last = next(status for status in found.groups() if status)


def _opened(address: str) -> tuple[Any, str]:
    """The plugin for an address, or None and why there is none."""
    from apprise import Apprise, AppriseAsset
    from apprise.manager_plugins import NotificationManager

    asset = AppriseAsset(
        storage_mode="memory",  # nothing is written to disk
        pgp_autogen=False,
        pem_autogen=False,
        # A redirected POST becomes a GET without the message. An address can ask for it: ?redirect=yes
        http_redirects=False,
        interpret_escapes=False,
        interpret_emojis=False,
        allow_templates=False,
        app_id="Batchord",
        app_desc="Batchord alerts",
    )
    known = NotificationManager()
    schema = address.partition("://")[0].strip().lower()
    # An address that is no URL at all may raise.
    with contextlib.suppress(Exception):
        plugin = Apprise.instantiate(address, asset=asset)
        if plugin is not None:
            return plugin, ""
    if schema not in known:
        return None, f"apprise does not know {schema}://; https://appriseit.com/services/ lists all receivers"
    if not known[schema].enabled:
        return None, f"{schema}:// needs a Python package that is not installed; see {known[schema].setup_url}"
    return None, f"the part after {schema}:// is incomplete or wrong; see {known[schema].setup_url}"


def _sent(plugin: Any, title: str, body: str, *, failure: bool) -> bool:
    from apprise import NotifyFormat, NotifyType, OverflowMode

    plugin.socket_connect_timeout = _bounded(plugin.socket_connect_timeout)
    plugin.socket_read_timeout = _bounded(plugin.socket_read_timeout)
    # The plugin itself rather than Apprise.notify, which takes ?optional=yes in an address for a success and
    # leaves a thread behind for each receiver that does not answer.
    return bool(
        plugin.notify(
            title=title,
            body=body or title,
            notify_type=NotifyType.FAILURE if failure else NotifyType.SUCCESS,
            body_format=NotifyFormat.TEXT,
            overflow=OverflowMode.TRUNCATE,  # not several messages, of which one may fail
        )
    )


def _bounded(seconds: float) -> float:
    return min(seconds, _PATIENCE) if math.isfinite(seconds) and seconds > 0 else _PATIENCE


def _answer(task: dict[str, Any]) -> dict[str, str]:
    statuses = _Statuses()
    logging.getLogger("apprise").addHandler(statuses)
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    plugin, why = _opened(task["address"])
    if plugin is None:
        return {"outcome": "unusable", "why": why}
    if task["task"] == "examine":
        return {"outcome": "usable"}
    try:
        if _sent(plugin, task["title"], task["body"], failure=task["failure"]):
            return {"outcome": "sent"}
    except Exception as error:  # noqa: BLE001 -- plugins raise anything, and the text of it may hold the address
        return {"outcome": "refused", "why": f"apprise failed with {type(error).__name__}"}
    said = (
        f"the receiver answered with status {statuses.last}" if statuses.last else "no connection, or no answer in time"
    )
    return {"outcome": "refused", "why": said}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    # Who started this may have been killed; SIGALRM then ends it all the same.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(math.ceil(asked["time_limit"]) + 1)
    # What plugins print must not stand in the answer.
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.write(answers, json.dumps(_answer(asked)).encode())
    # A thread that a plugin left behind must not hold the answer back.
    os._exit(0)
