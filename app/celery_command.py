"""Celery's commands on Batchord's app: Batchord starts ``python -P -m batchord.app.celery_command worker``.

``celery -A batchord.app`` looks for ``batchord`` in the working directory first, wherever that is, and while it does so
every other import looks there, too. Here the app is imported before. Celery's own command also imports the commands of
all plug-ins, such as Flower's and an interactive shell: a fifth of a worker's start, and 6 MB of Flower.

``forks CHANNEL`` is no command of Celery's: it waits for such commands, and forks a process for each.
"""

import importlib
import os
import sys
from collections.abc import Sequence

import click

_APP = f"{__spec__.parent}.celery"
#: Commands that need no other command's module.
_ALONE = {"worker": "celery.bin.worker", "beat": "celery.bin.beat", "flower": "flower.command"}


def _run(name: str, options: Sequence[str]) -> None:
    """Runs one command as Celery's own group of commands does."""
    from celery import maybe_patch_concurrency, platforms
    from celery.bin.base import CLIContext

    maybe_patch_concurrency()
    # Celery gives each of its processes a title, with this function. It has no setting for it.
    platforms.set_process_title = _set_title
    app = importlib.import_module(_APP).app
    command: click.Command = getattr(importlib.import_module(_ALONE[name]), name)
    context = CLIContext(app=app, no_color=False, workdir=None)
    # Flower asks the context around its own for Celery's options.
    around = click.Context(click.Group("celery"), info_name="celery", obj=context)
    command.main(list(options), prog_name=name, parent=around, auto_envvar_prefix=f"CELERY_{name.upper()}")


def _set_title(progname: str, info: str | None = None) -> str:
    """Gives this process Celery's title, after the name of the project."""
    from batchord.settings import settings

    from .localstack.titles import set_title

    title = f"[{progname}] {info or ''}".rstrip()
    set_title(settings().home, title)
    return title


def run(arguments: Sequence[str]) -> None:
    """Runs a command with its options, such as ``worker -Q text``, until its end."""
    sys.argv = ["celery", f"--app={_APP}", *arguments]
    if arguments and arguments[0] in _ALONE:
        _run(arguments[0], arguments[1:])
    else:
        importlib.import_module(_APP)
        from celery.__main__ import main

        main()


if __name__ == "__main__":
    # Titles that `ps` shows are written over the arguments alone: what is in the environment stays readable there, and
    # by it a stack's processes are found.
    os.environ["SPT_NOENV"] = "1"
    arguments = sys.argv[1:]
    if arguments[:1] == ["forks"]:
        forks = importlib.import_module(f"{__spec__.parent}.forks")
        forks.import_modules()
        arguments = forks.next_command(int(arguments[1]))
    run(arguments)
