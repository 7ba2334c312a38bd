"""Titles of the stack's processes, as ``ps`` shows them. They name the project, so two stacks can be told apart."""

import os
import re
from pathlib import Path

#: The most characters of a project's name: titles have little room.
_MOST = 40


def project_name(home: Path) -> str:
    """The name of the folder that holds the home, without characters that a title or a server's setting cannot have."""
    name = home.expanduser().absolute().parent.name or "root"
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:_MOST]


def set_title(home: Path, what: str) -> None:
    """Gives this process a title of the stack in ``home``."""
    # It is written over the arguments alone: what is in the environment stays readable there, and by it a stack's
    # processes are found.
    os.environ.setdefault("SPT_NOENV", "1")
    from setproctitle import setproctitle

    setproctitle(title(home, what))


def title(home: Path, what: str) -> str:
    """A title of a process of the stack in ``home``."""
    return f"batchord {project_name(home)}: {what}"
