"""Flower's password. It is made once for each home and kept in a file that only its owner can read."""

import secrets
from pathlib import Path

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause

from ..localstack.home import held, open_home, write_private

#: The name that goes with the password.
USER = "batchord"
_FILE = "flower.password"
_TURN_SECONDS = 10.0
_WAY_OUT = "Set FLOWER_BASIC_AUTH=name:password, or BATCHORD_HOME to a folder of your own."


def flower_password(home: Path) -> str:
    """The password of this home. The first call makes it; calls of several processes wait for each other.

    Raises ConfigurationError if a password cannot be saved here or the file is damaged, TransientError if another
    process holds the lock for too long.
    """
    home = open_home(home)
    try:
        with held(home / "run" / "flower.lock", timeout=_TURN_SECONDS):
            password = kept_password(home)
            if password is None:
                password = secrets.token_hex(16)
                write_private(home / _FILE, f"{password}\n")
    except OSError as error:
        raise ConfigurationError(
            f"Flower's password cannot be saved in {home}: {clause(error.strerror)}. {_WAY_OUT}"
        ) from error
    return password


def kept_password(home: Path) -> str | None:
    """The password of this home; None if there is none yet. Raises ConfigurationError for a damaged file."""
    path = home / _FILE
    try:
        password = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {clause(error)}. {_WAY_OUT}") from error
    if not password.isalnum():
        raise ConfigurationError(
            f"{path} does not hold a valid password. Delete the file. The next start makes a new one."
        )
    return password
