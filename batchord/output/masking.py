"""Takes secrets out of what leaves this process: its log, the ledger's errors, events, messages, pages, the terminal.

One place for all of them, since what one of them forgets is not secret any more.
"""

import os
import threading
from collections.abc import Iterable
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.secrets.patterns import masked, masked_value, without
from batchord.core.secrets.values import worth_hiding
from batchord.output.known_secrets import known_secrets, secrets_around
from batchord.settings import settings

_lock = threading.Lock()
#: None until they are first asked for: a process may still set up its environment.
_known: tuple[str, ...] | None = None


def known() -> tuple[str, ...]:
    """Every secret that this process knows by now."""
    return _known if _known is not None else learn(())


def learn(secrets: Iterable[str]) -> tuple[str, ...]:
    """Adds secrets, of pipelines that were loaded, say; returns all. What was known once stays known."""
    global _known  # noqa: PLW0603 -- one process, one environment
    with _lock:
        _known = tuple(sorted({*(_known or ()), *_own(), *worth_hiding(secrets)}))
        return _known


def mask(text: str) -> str:
    """``text`` without secrets: those that are known, and what says itself that it is one."""
    return masked(text, known=known())


def mask_value(value: Any) -> Any:
    """``value`` with every text in its dicts, lists and tuples masked."""
    return masked_value(value, known=known())


def mask_known(text: str) -> str:
    """``text`` without known secrets, for what programs read: what merely looks like a secret stays."""
    return without(known(), text)


def _new_lock() -> None:
    global _lock  # noqa: PLW0603 -- as above
    _lock = threading.Lock()


# A child that was forked while another thread held it would wait for ever.
os.register_at_fork(after_in_child=_new_lock)


def _own() -> set[str]:
    around = {*secrets_around(os.environ)}
    try:
        return around | {*known_secrets(settings())}
    except ConfigurationError:  # the settings are what is wrong
        return around
