"""Checks a model before it predicts: whether it loads, and whether the source gives the columns that it reads."""

from collections.abc import Sequence
from typing import NamedTuple

from batchord.core.code.traces import trace_of
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.errors import TransientError
from batchord.core.ports import NotAtHand
from batchord.core.text.error_text import message_of
from batchord.flow.parts import Parts


class ModelCheck(NamedTuple):
    """The result of a check."""

    #: One sentence each.
    problems: list[str]
    loaded: bool
    #: Why the model was not loaded, as a part of a sentence; None: it was, or a problem says why not.
    not_loaded: str | None


def check_model(parts: Parts, declared: Predict, source: SourceReader, version: str) -> ModelCheck:
    """Checks the columns, and loads the model if this is quick and its files are here.

    Raises TransientError if a server does not answer, ConfigurationError if the source cannot be read.
    """
    problems: list[str] = []
    loaded: LoadedModel | NotAtHand | None = None
    try:
        loaded = parts.models.load_at_hand(declared.declared_model, version)
    except TransientError:
        raise
    except Exception as error:  # noqa: BLE001 -- broken files or an author's kind may raise anything
        trace = trace_of(error)
        where = f" ({trace.file}:{trace.line})" if trace.is_authors else ""
        problems.append(parts.mask(f"{message_of(error)}{where}"))
    why = loaded.why if isinstance(loaded, NotAtHand) else None
    reads = None if loaded is None or isinstance(loaded, NotAtHand) else loaded.reads
    missing = missing_columns(declared, declared.declared_model.needs or reads or (), source.check())
    return ModelCheck(problems + missing, loaded is not None and why is None, why)


def missing_columns(declared: Predict, needed: Sequence[str], columns: Sequence[str] | None) -> list[str]:
    """The problems of a model that reads ``needed`` from a source with ``columns``; None: they are unknown."""
    if columns is None:
        return []
    keys, arrival = declared.source.key_columns, declared.source.arrival
    # prepare() hides the same columns from the model: the key is the frame's index.
    hidden = {*keys} if declared.declared_model.takes_arrival else {*keys, arrival}
    problems = []
    for name in needed:
        if name not in columns:
            problems.append(
                f"The model reads the column {name!r}, but the source gives only {', '.join(columns)}. Correct the "
                "name, or select the column in the source."
            )
        elif name in hidden:
            problems.append(
                f"The model reads the column {name!r}, which identifies or orders the records and is not given to it. "
                "Select it in the source a second time, under another name (AS)."
            )
    return problems
