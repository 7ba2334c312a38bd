"""The ``batchord`` command.

Each command lives in a module that is imported when it is called: ``batchord --help`` loads no database
driver and no ML library. Exit codes: 0 when all is well, 1 when something is not, 2 for a wrong call.
"""

import importlib
import sys

import click

from app.core.errors import BatchordError

#: Command → module below this package; the function has the command's name. In the order of a first day.
_COMMANDS = {
    "demo": "demo",
    "up": "stack",
    "down": "stack",
    "status": "stack",
    "migrate": "stack",
    "pipelines": "checks",
    "plan": "checks",
    "run": "run",
    "runs": "history",
    "show": "history",
    "rejections": "history",
    "retry": "interventions",
    "cancel": "interventions",
    "audit": "checks",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- as above
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"app.cli.{module}"), cmd_name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="batchord")
def batchord() -> None:
    """Batch predictions over newly arrived records, on Celery."""


def main() -> None:
    """The console script: errors of Batchord's own are told without a traceback."""
    try:
        batchord(prog_name="batchord")
    except BatchordError as error:
        click.secho(f"{type(error).__name__}: {error}", fg="red", err=True)
        sys.exit(1)
