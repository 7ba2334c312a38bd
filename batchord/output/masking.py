"""Masks secrets in text that leaves this process: its log, the ledger's errors, events, messages, pages, the terminal.

All of them use this module: a secret that one of them forgets to mask is not secret any more. It imports the settings
only when there is text to mask, so that the completion of a command line answers at once.
"""

import os
import threading
from collections.abc import Iterable
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.secrets.patterns import masked, masked_value, without
from batchord.core.secrets.values import worth_hiding

_lock = threading.Lock()
#: None until the secrets are first needed: until then, a process may still set up its environment.
_known: tuple[str, ...] | None = None


def known() -> tuple[str, ...]:
    """Every secret that this process knows by now."""
    return _known if _known is not None else learn(())


def learn(secrets: Iterable[str]) -> tuple[str, ...]:
    """Adds secrets, for example those of loaded pipelines, and returns all. A secret is never removed."""
    global _known  # noqa: PLW0603 -- one process, one environment
    with _lock:
        _known = tuple(sorted({*(_known or ()), *_own(), *worth_hiding(secrets)}))
        return _known


def mask(text: str) -> str:
    """``text`` without known secrets, and without text that clearly looks like a secret."""
    return masked(text, known=known())


def mask_value(value: Any) -> Any:
    """``value`` with every text in its dicts, lists and tuples masked."""
    return masked_value(value, known=known())


def mask_known(text: str) -> str:
    """``text`` without known secrets, for programs to read. Text that only looks like a secret stays."""
    return without(known(), text)


def _new_lock() -> None:
    global _lock  # noqa: PLW0603 -- as above
    _lock = threading.Lock()


# A child that was forked while another thread held the lock would wait for ever.
os.register_at_fork(after_in_child=_new_lock)


def _own() -> set[str]:
    from batchord.output.known_secrets import known_secrets, secrets_around
    from batchord.settings import settings

    secrets = {*secrets_around(os.environ)}
    try:
        return secrets | {*known_secrets(settings())}
    except ConfigurationError:  # the settings cannot be read, and the text to mask may be about that
        return secrets
