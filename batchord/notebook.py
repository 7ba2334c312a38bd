"""What an author calls from a notebook. Importing it costs nothing: each function imports what it needs."""

from typing import TYPE_CHECKING

from batchord.core.declared.checks import problems_of
from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import ConfigurationError
from batchord.core.process.loading import refuse_while_loading
from batchord.core.run.composite_keys import text_of_values
from batchord.core.run.records import Scalar, record_key

if TYPE_CHECKING:
    import pandas as pd


def try_(
    pipeline: Pipeline | str,
    *,
    limit: int = 10,
    key: Scalar | list[Scalar] | tuple[Scalar, ...] | None = None,
    where: str | None = None,
    step: str | None = None,
) -> "pd.DataFrame":
    """Predicts a few records here and now, as a shard would, and writes nothing.

    Args:
        pipeline: A pipeline of the notebook, or the name of one in the pipelines' folder.
        limit: The most records, the newest first.
        key: The key of one record, instead; of a key of several columns, a list of their values, or its text.
        where: A SQL condition on the columns of the source's query, which the records must meet.
        step: The Predict step, if the pipeline has several.

    Returns a frame with a row for each record, indexed by key: the source's columns, then ``label``, ``score``,
    ``output`` and ``rejection``. A notebook shows its pictures small. Its ``attrs`` hold the columns that the model
    got, the seconds, the model's version, and the traceback of the first error.

    Raises the error of the author's own code if the model fails for all records, with its traceback from the author's
    first line on; otherwise ConfigurationError, ModelError or TransientError.
    """
    refuse_while_loading("`batchord.try_`")
    from batchord.database.local import hold_local_database
    from batchord.flow.begin.dry_run import dry_run
    from batchord.reports.tried_frames import raised_by, tried_frame
    from batchord.wiring import parts, parts_of

    if isinstance(pipeline, Pipeline) and (problems := problems_of(pipeline.problems)):
        raise ConfigurationError(f"Pipeline {pipeline.name!r} has problems: {'; '.join(problems)}.")
    hold_local_database()
    if isinstance(pipeline, Pipeline):
        built, declared = parts_of(pipeline), pipeline
    else:
        built = parts()
        declared = built.catalog.get(pipeline)
    if isinstance(key, list | tuple):
        key = text_of_values(key)
    text = key if key is None or isinstance(key, str) else record_key(key)
    tried = dry_run(built, declared, step=step, limit=limit, key=text, where=where)
    if tried.error is not None:
        raise raised_by(tried)
    return tried_frame(tried)
