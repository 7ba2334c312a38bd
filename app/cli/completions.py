"""What the shell offers for names of pipelines, steps and runs.

The shell starts this program at every Tab, so it imports little, executes no pipeline file, and gives up on a ledger
that does not answer at once. Whatever goes wrong, it offers nothing and prints nothing.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from batchord.core.text.names import is_name
from batchord.core.text.visible import in_one_line

if TYPE_CHECKING:
    from batchord.core.code.written import WrittenPipeline

#: How long the ledger may take to answer, in seconds.
_PATIENCE = 1
_MOST_RUNS = 30
#: The newest runs whose ids begin with a text.
_RUNS = """
    SELECT id::text, pipeline, state, created_at FROM batchord.runs WHERE starts_with(id::text, %s)
    ORDER BY id DESC LIMIT %s
"""
_STEPS = """
    SELECT DISTINCT step.name FROM batchord.steps AS step JOIN batchord.runs AS run ON run.id = step.run_id
    WHERE starts_with(run.id::text, %s) ORDER BY step.name
"""


class _Name(StringParamType):
    """A text that completes."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 -- click's signature
        """See click. It raises nothing: the shell would print it into the line that a person types."""
        try:
            return list(self.offered(ctx, incomplete))
        except Exception:  # noqa: BLE001 -- as above
            return []

    def offered(self, ctx: click.Context, incomplete: str) -> Iterable[CompletionItem]:
        """The names that begin with ``incomplete``."""
        raise NotImplementedError


class PipelineName(_Name):
    """The name of a pipeline."""

    def offered(self, ctx: click.Context, incomplete: str) -> Iterable[CompletionItem]:  # noqa: ARG002 -- as above
        """The names in the pipelines' files."""
        return _items((each.name for each in _pipelines()), incomplete)


class RunId(_Name):
    """The beginning of a run's id."""

    def offered(self, ctx: click.Context, incomplete: str) -> Iterable[CompletionItem]:  # noqa: ARG002 -- as above
        """The newest runs in the ledger, as tables show them; shells that can show it get pipeline, state and time."""
        from batchord.core.run.run_ids import unique_prefix

        rows = list(_rows(_RUNS, (incomplete, _MOST_RUNS + 1)))
        ids = [row[0] for row in rows]
        for place, (run_id, pipeline, state, created_at) in enumerate(rows[:_MOST_RUNS]):
            # An id that begins otherwise than the typed text differs from it anyway.
            short = unique_prefix(run_id, ids[max(0, place - 1) : place] + ids[place + 1 : place + 2])
            shown = short if len(incomplete) <= len(short) else run_id
            line = f"{pipeline} {state}, {created_at.astimezone():%m-%d %H:%M}"
            yield CompletionItem(shown, help=in_one_line(line))


class StepName(_Name):
    """The name of a step: of the command's run, or else of its pipeline, or of any pipeline."""

    def offered(self, ctx: click.Context, incomplete: str) -> Iterable[CompletionItem]:
        """The steps in the ledger if a run is named, otherwise those in the pipelines' files."""
        run, pipeline = ctx.params.get("run_id"), ctx.params.get("name") or ctx.params.get("pipeline")
        names = [name for (name,) in _rows(_STEPS, (run,))] if run else []
        names = names or [step for each in _pipelines() if pipeline in (None, each.name) for step in each.steps]
        return _items(names, incomplete)


class ColumnNames(_Name):
    """Names of columns of predictions, with commas between them."""

    def offered(self, ctx: click.Context, incomplete: str) -> Iterable[CompletionItem]:  # noqa: ARG002 -- as above
        """The list so far with each column that could be its next."""
        from batchord.core.run.exported import COLUMNS

        before, comma, begun = incomplete.rpartition(",")
        given = before.split(",")
        for name in COLUMNS:
            if name.startswith(begun) and name not in given:
                yield CompletionItem(f"{before}{comma}{name}")


#: What completes, by the name of the parameter, in every command.
_TYPES = {
    "name": PipelineName(),
    "names": PipelineName(),
    "pipeline": PipelineName(),
    "run_id": RunId(),
    "step": StepName(),
    "from_step": StepName(),
    "columns": ColumnNames(),
}


def complete_names(command: click.Command) -> None:
    """Makes the command's parameters complete, unless they have a type of their own."""
    for parameter in command.params:
        if parameter.name in _TYPES and parameter.type is click.STRING:
            parameter.type = _TYPES[parameter.name]


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The names that begin with ``incomplete``, each once. Anything else than a name could steer the terminal."""
    return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete) and is_name(name)]


def _pipelines() -> "list[WrittenPipeline]":
    from batchord.core.code.written import written_pipelines

    return written_pipelines(_folder())


def _folder() -> Path:
    """The folder of the pipelines, as the settings say. The settings themselves would take longer than all the rest."""
    from batchord.project import expanded, find_project, read_project

    if set_folder := os.environ.get("BATCHORD_PIPELINES"):
        return expanded(set_folder)
    file, _ = find_project()
    if file is None:
        return Path("pipelines")
    project = read_project(file)
    return project.below(project.values.get("pipelines", "pipelines"))


def _rows(query: str, values: tuple[object, ...]) -> Iterable[tuple]:  # type: ignore[type-arg] # as the query gives them
    # Without SQLAlchemy, which the ledger needs for its pool: its import takes longer than the query.
    import psycopg

    from batchord.settings import settings

    url = settings().require_database_url()
    with psycopg.connect(url, connect_timeout=_PATIENCE) as connection:
        # For this transaction: a pooler may give the next one another session.
        connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{_PATIENCE}s"])
        return connection.execute(query, values).fetchall()
