"""The ``batchord`` command.

Each command is in a module that is imported only when the command is called: ``batchord --help`` loads no database
driver and no ML library. Exit codes: 0 for success, 1 for a problem, 2 for a wrong call.
"""

import faulthandler
import importlib
import keyword
import sys

import click
from click.shell_completion import CompletionItem

from batchord.core.errors import BatchordError
from batchord.core.process.loading import refuse_while_loading
from batchord.core.text.similar import closest
from batchord.output.last_words import mask_last_words

from .completions import complete_names
from .examples import epilog

#: Command → its module in this package, and its line in ``--help``. The order is that of a first day.
_COMMANDS = {
    "new": ("new", "Write a pipeline file that runs as it stands."),
    "up": ("stack", "Start the local stack in the background."),
    "down": ("stack", "Stop the local stack."),
    "status": ("stack", "Show the local stack's servers and processes."),
    "migrate": ("stack", "Bring the ledger's tables up to date."),
    "pipelines": ("checks", "List the pipelines and the problems in their files."),
    "check": ("check", "Check pipeline files, and their SQL against the database."),
    "trust": ("trust", "Show what a pickled model imports, and the line that trusts it."),
    "convert": ("convert", "Write a pickled scikit-learn model as a .skops file."),
    "plan": ("checks", "Show what a run would predict now. Writes nothing."),
    "try": ("dry_run", "Show what a step would predict for a few records. Writes nothing."),
    "run": ("run", "Start a run by hand."),
    "top": ("top", "Watch what goes on: pipelines, queues, and what each worker does."),
    "runs": ("history", "List the newest runs."),
    "show": ("history", "Show one run: summary, steps, shards."),
    "report": ("report", "Write the report of a run as one HTML file, which can be sent."),
    "why": ("why", "Show what became of one record, and why."),
    "export": ("export", "Write the predictions of a pipeline to a Parquet, CSV or JSON lines file."),
    "rejections": ("history", "List the rejected records with their reasons."),
    "logs": ("logs", "Show what a run's steps and shards logged."),
    "retry": ("interventions", "Predict rejected records again after a fix."),
    "rerun": ("interventions", "Repeat an ended run: all of it, from one step on, or what failed."),
    "reset": ("reset", "Forget what a pipeline has predicted, so that it predicts all records again."),
    "cancel": ("interventions", "End a run and keep its predictions."),
    "pause": ("switches", "Pause a pipeline: no new runs by schedule or event."),
    "resume": ("switches", "Resume a paused pipeline."),
    "schedule": ("switches", "Show or change when a pipeline runs."),
    "history": ("changes", "List the changes by hand and who made them."),
    "alerts": ("upkeep", "List the newest alerts, or send a test alert."),
    "metrics": ("metrics", "Print the metrics in Prometheus' format."),
    "prune": ("upkeep", "Delete old logs, runs and alerts."),
    "audit": ("checks", "Check that no record is missing or duplicated."),
    "audits": ("audits", "List the past audits and what each found."),
    "config": ("config", "Show the settings and where each comes from."),
    "completion": ("completion", "Print the script for completion in bash, zsh or fish."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- as above
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        attribute = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(f".{module}", __package__), attribute)
        complete_names(command)
        command.epilog = command.epilog or epilog(cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; a mistyped command is answered with the one that was meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if similar := closest(args[0], _COMMANDS):
                raise click.UsageError(f"{error.message} Did you mean {similar!r}?", ctx) from None
            raise

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin with ``incomplete``. click would import the module of every command."""
        names = [
            CompletionItem(name, help=line) for name, (_, line) in _COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- as above
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="batchord")
def batchord() -> None:
    """Batch predictions over newly arrived records, on Celery."""
    refuse_while_loading("`batchord`")


def main(command: click.Command = batchord, *, name: str = "batchord") -> None:
    """The console script. It shows Batchord's own errors without a traceback.

    Their classes are for programs: the message says what is wrong and what to do. So a person sees ``Error: message``,
    as click writes it for a wrong call.
    """
    mask_last_words()
    if sys.stderr is not None:
        faulthandler.enable()  # a model that crashes in compiled code shows the line that called it
    try:
        command(prog_name=name)
    except BatchordError as error:
        click.secho(f"Error: {_printable(str(error) or type(error).__name__)}", fg="red", err=True)
        sys.exit(1)


def _printable(text: str) -> str:
    """``text`` without secrets and without control characters, which a driver's message may quote."""
    from batchord.core.text.visible import visible
    from batchord.output.masking import mask

    return visible(mask(text))
