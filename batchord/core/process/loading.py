"""No command may start while an author's file is being loaded: it would load the file again, and so start another.

The mark is an environment variable, because a command that the file starts is another process. The variable survives
``fork``, ``subprocess``, a shell and ``nohup``.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from batchord.core.errors import ConfigurationError

#: Its value is ``<pid of the loading process>:<file>``.
LOADING_VARIABLE = "BATCHORD_LOADING"


@contextmanager
def loading(file: str) -> Iterator[None]:
    """Marks this process, and all processes that it starts, as loading ``file``."""
    before = os.environ.get(LOADING_VARIABLE)
    os.environ[LOADING_VARIABLE] = f"{os.getpid()}:{file}"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(LOADING_VARIABLE, None)
        else:
            os.environ[LOADING_VARIABLE] = before


def refuse_while_loading(what: str, *, same_process: bool = True) -> None:
    """Raises ConfigurationError if a file that is being loaded started ``what``.

    ``same_process``: whether it also raises if this process itself is loading the file.
    """
    pid, colon, file = os.environ.get(LOADING_VARIABLE, "").partition(":")
    if not colon or (not same_process and pid == str(os.getpid())):
        return
    raise ConfigurationError(
        f"{what} does not start: {file} calls it while the file is being loaded. It would load the file again, "
        f"without end. Move the call below `if __name__ == '__main__':`, into a step, or out of the pipelines' folder."
    )
