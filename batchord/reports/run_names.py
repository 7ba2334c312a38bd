"""How people name a run: by the beginning of its id, which is printed as short as it is unique, or by its pipeline."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from batchord.core.errors import ConfigurationError
from batchord.core.run.run_ids import ids_beginning_with, is_whole_id
from batchord.core.run.run_ids import short_ids as shortest_ids
from batchord.core.run.runs import Run

if TYPE_CHECKING:
    from batchord.ledger import Ledger

#: The most runs that an error names.
_MOST = 10
_LIST = "`batchord runs` lists the runs."


def run_named(ledger: "Ledger", name: str) -> Run:
    """The run whose id begins with ``name``; or the newest run of the pipeline ``name`` that was not skipped.

    A whole id is always an id. Anything else that is the name of a pipeline with runs is that name, even if an id
    begins with it: such an id can be written with more characters, and a name cannot.

    Raises ConfigurationError if there is no such run, or if several ids begin with ``name``.
    """
    if not name.strip():  # every run's id begins with the empty text
        raise ConfigurationError("The run's id is empty. Give an id that `batchord runs` lists, or a pipeline's name.")
    latest = None if is_whole_id(name) else ledger.run_names.latest(name)
    if latest is not None:
        return latest
    ids = ids_beginning_with(name)
    runs = [] if ids is None else ledger.run_names.between(*ids)
    if len(runs) == 1:
        return runs[0]
    if runs:
        raise ConfigurationError(f"Several runs begin with {name}: {_listed(ledger, runs)}. Give more characters.")
    if ledger.run_names.is_pipeline(name):
        raise ConfigurationError(f"The pipeline {name} has no run yet. Start one with `batchord run {name}`.")
    raise ConfigurationError(f"There is no run {name}. {_LIST}")


def open_run_named(ledger: "Ledger", name: str) -> Run:
    """As :func:`run_named`, but a pipeline's name stands for its run that is queued or running, if there is one.

    Raises ConfigurationError also if several runs of the pipeline are queued or running.
    """
    runs = [] if is_whole_id(name) else ledger.run_names.open(name)
    if len(runs) > 1:
        raise ConfigurationError(f"{name} has several open runs: {_listed(ledger, runs)}. Give the id of one of them.")
    return runs[0] if runs else run_named(ledger, name)


def short_ids(ledger: "Ledger", run_ids: Iterable[str | None]) -> Mapping[str, str]:
    """How people write these ids; see :func:`batchord.core.run.run_ids.short_ids`."""
    return shortest_ids(ledger.run_names, run_ids)


def short_id(ledger: "Ledger", run_id: str) -> str:
    """The same for one id."""
    return short_ids(ledger, [run_id])[run_id]


def _listed(ledger: "Ledger", runs: list[Run]) -> str:
    ids = short_ids(ledger, [run.id for run in runs])
    listed = ", ".join(f"{ids[run.id]} ({run.pipeline}, {run.state})" for run in runs[:_MOST])
    return listed + (" and more" if len(runs) > _MOST else "")
