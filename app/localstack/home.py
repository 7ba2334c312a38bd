"""The home folder, in which the local stack keeps its data, logs, passwords and addresses."""

import fcntl
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.text.error_text import clause

_PASSWORDS_FILE = "passwords.json"


def open_home(path: Path) -> Path:
    """Creates the home folder if it is missing, sets its mode to 0700, and returns its absolute path.

    It changes no permission outside of it. Raises ConfigurationError for a folder that belongs to somebody else or in
    which others may write, such as ``/tmp``: closing that folder would do more harm than good.
    """
    home = path.expanduser().absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = home.stat()
    except OSError as error:
        raise ConfigurationError(
            f"The folder {home} cannot be used: {clause(error.strerror)}. Set BATCHORD_HOME to a folder of your own."
        ) from error
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_ISVTX | stat.S_IWOTH):
        raise ConfigurationError(
            f"The folder {home} is shared with other users and cannot hold the local servers' data and passwords. "
            "Set BATCHORD_HOME to a folder of your own, for example ~/.batchord."
        )
    home.chmod(0o700)
    for name in ("logs", "run"):
        (home / name).mkdir(mode=0o700, exist_ok=True)
    return home


@contextmanager
def held(lock: Path, *, timeout: float) -> Iterator[int]:
    """Holds the lock file exclusively and yields its descriptor. Other processes wait.

    Raises TransientError if another process holds it for longer than ``timeout`` seconds.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise TransientError(
                    f"{lock} has been held by another process for {timeout:.0f} s. "
                    f"`fuser -v {lock}` shows which one. Stop it or wait for its end, then try again."
                )
            time.sleep(0.02)
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(path: Path, text: str) -> None:
    """Writes the file with mode 0600. It replaces the file at once, so that a reader sees the old or the new text."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class Passwords:
    """The passwords of one home's servers. They are random, made once and never shown."""

    #: The superuser's password, with which the stack creates the roles. No other process of Batchord gets it.
    postgres: str
    postgres_owner: str
    postgres_ledger: str
    postgres_author: str
    postgres_source: str
    redis: str
    s3_access_key_id: str
    s3_secret_access_key: str

    def __repr__(self) -> str:
        """Hides the values: a repr ends up in logs and tracebacks."""
        return "Passwords(…)"


def passwords(home: Path) -> Passwords:
    """The passwords of this home. The first call makes them. The caller holds the home's lock.

    A home of an earlier release gets the passwords that it lacks. Raises ConfigurationError if the file is damaged.
    """
    path = home / _PASSWORDS_FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        complete = Passwords(**{**_new_passwords(), **stored})
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read, so the servers' data in {home} cannot be opened. "
            "Restore the file. To start with empty servers instead, move the folder away."
        ) from error
    if asdict(complete) != stored:
        write_private(path, json.dumps(asdict(complete)))
    return complete


def _new_passwords() -> dict[str, str]:
    # Hexadecimal digits need no quoting in a URL, a configuration file or a shell.
    random_texts = {field.name: secrets.token_hex(24) for field in fields(Passwords)}
    return random_texts | {
        "s3_access_key_id": secrets.token_hex(10).upper(),
        "s3_secret_access_key": secrets.token_hex(20),
    }
