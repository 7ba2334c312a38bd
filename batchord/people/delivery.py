"""Sends one message, or examines one address. JSON comes in, JSON goes out, and secrets stay here.

:mod:`batchord.people.notifier` runs it as a script. It imports nothing of Batchord, so that it starts fast. Its answer
holds only fixed words, numbers and published facts about apprise's plugins, never the text of an error.
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

#: Seconds in which a receiver must accept a connection, and then answer. Some plugins would wait for 30.
_PATIENCE = 8.0
#: How plugins log a server's answer: with a status of HTTP or of SMTP.
_STATUS = re.compile(r"error=(\d{3})\b|Exception: [^(]{0,200}\((\d{3}), |was refused: (\d{3}) ")


class _Statuses(logging.Handler):
    """Remembers the last status that a server answered with."""

    last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Looks for a status, but not in a logged payload, which may hold any text."""
        message = record.getMessage()
        if "Payload" not in message and (match := _STATUS.search(message)):
            self.last = next(status for status in match.groups() if status)


def _opened(address: str) -> tuple[Any, str]:
    """The plugin for an address and an empty text, or None and the reason."""
    from apprise import Apprise, AppriseAsset
    from apprise.manager_plugins import NotificationManager

    asset = AppriseAsset(
        storage_mode="memory",  # nothing is written to disk
        pgp_autogen=False,
        pem_autogen=False,
        # A redirected POST becomes a GET without the message. An address can allow it with ?redirect=yes.
        http_redirects=False,
        interpret_escapes=False,
        interpret_emojis=False,
        allow_templates=False,
        app_id="Batchord",
        app_desc="Batchord alerts",
    )
    plugins = NotificationManager()
    schema = address.partition("://")[0].strip().lower()
    # apprise may raise anything for an address that is not a URL.
    with contextlib.suppress(Exception):
        plugin = Apprise.instantiate(address, asset=asset)
        if plugin is not None:
            return plugin, ""
    if schema not in plugins:
        return None, f"apprise does not know {schema}://; https://appriseit.com/services/ lists all receivers"
    if not plugins[schema].enabled:
        return None, f"{schema}:// needs a Python package that is not installed; see {plugins[schema].setup_url}"
    return None, f"the part after {schema}:// is incomplete or wrong; see {plugins[schema].setup_url}"


def _sent(plugin: Any, title: str, body: str, *, failure: bool, attachment: dict[str, str] | None) -> bool:
    from apprise import NotifyFormat, NotifyType, OverflowMode

    plugin.socket_connect_timeout = _bounded(plugin.socket_connect_timeout)
    plugin.socket_read_timeout = _bounded(plugin.socket_read_timeout)
    # This calls the plugin and not Apprise.notify. The latter reports success for an address with ?optional=yes, and
    # leaves a thread behind for each receiver that does not answer.
    return bool(
        plugin.notify(
            title=title,
            body=body or title,
            notify_type=NotifyType.FAILURE if failure else NotifyType.SUCCESS,
            body_format=NotifyFormat.TEXT,
            overflow=OverflowMode.TRUNCATE,  # one message: of several, some may fail
            attach=_attached(attachment) if attachment and plugin.attachment_support else None,
        )
    )


def _attached(attachment: dict[str, str]) -> Any:
    """The attachment for a plugin. It is in memory: nothing is written to disk."""
    from apprise import AppriseAttachment
    from apprise.attachment.memory import AttachMemory

    file = AttachMemory(
        content=attachment["text"].encode(errors="replace"), name=attachment["name"], mimetype=attachment["kind"]
    )
    attached = AppriseAttachment()
    attached.add(file)
    return attached


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
        if _sent(plugin, task["title"], task["body"], failure=task["failure"], attachment=task.get("attachment")):
            return {"outcome": "sent"}
    except Exception as error:  # noqa: BLE001 -- plugins raise anything, and the error's text may hold the address
        return {"outcome": "refused", "why": f"apprise failed with {type(error).__name__}"}
    why = (
        f"the receiver answered with status {statuses.last}" if statuses.last else "no connection, or no answer in time"
    )
    return {"outcome": "refused", "why": why}


if __name__ == "__main__":
    request = json.load(sys.stdin)
    # If the parent process was killed, SIGALRM ends this one.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(math.ceil(request["time_limit"]) + 1)
    # Text that plugins print must not become a part of the answer.
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.write(answers, json.dumps(_answer(request)).encode())
    # Does not wait for a thread that a plugin left behind.
    os._exit(0)
