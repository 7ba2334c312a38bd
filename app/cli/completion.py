"""``batchord completion``: the script with which a shell completes commands, options and names."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, and names of pipelines, steps and runs."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 -- click has all three
    # The name of the command as it was called: `python -m` and aliases have no completion.
    script = kind(ctx.find_root().command, {}, "batchord", "_BATCHORD_COMPLETE")
    # Not source(): for bash it looks at the version of whichever bash is here.
    click.echo(script.source_template % script.source_vars())
