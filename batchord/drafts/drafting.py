"""Makes the draft that an author asks for."""

from dataclasses import replace

from batchord.core.errors import ConfigurationError
from batchord.core.text.names import is_name
from batchord.drafts import sklearn
from batchord.drafts.columns import Choice, is_text, location_column, number_columns, text_choice, texts_of
from batchord.drafts.draft import Draft, DraftKind, Request, missing
from batchord.drafts.function import function_model, mood_model
from batchord.drafts.image import folder_source, image_model, sample_pictures
from batchord.drafts.pipeline_file import Argument, pipeline_text
from batchord.drafts.proposal import Proposal
from batchord.drafts.python_text import literal
from batchord.drafts.sources import sample_source, table_source
from batchord.drafts.tabular import place_for, tabular_model
from batchord.drafts.text import text_model
from batchord.sources.sql.tables import Column, Table

_TEXTS = [
    "(1, 'A fine film, and a great cast.', timestamptz '2026-01-05 09:00+00')",
    "(2, 'Two hours that I want back.', timestamptz '2026-01-05 09:10+00')",
    "(3, '   ', timestamptz '2026-01-05 09:20+00')",
]
_BY = "Written by `batchord new`; now it is yours."


def check_name(name: str) -> None:
    """Raises ConfigurationError if ``name`` cannot be the name of a pipeline."""
    if not is_name(name):
        raise ConfigurationError(
            f"{name!r} cannot be a pipeline name: use lower-case letters, digits, '_' and '-', and begin with a letter."
        )


def sample_draft(request: Request) -> Draft:
    """A draft that runs as it stands: it brings its records, and a model unless the author names one.

    A draft for transformers needs a model that the author names. Raises ConfigurationError for a wrong name, and if the
    sample's pictures cannot be made.
    """
    check_name(request.name)
    match request.kind:
        case DraftKind.FUNCTION:
            title = f"A label for each new text. {_BY}"
            return _draft(request, title, sample_source("id, body, created_at", _TEXTS), mood_model())
        case DraftKind.TEXT:
            title = f"A label for each text, by transformers. {_BY}"
            model = text_model(_location(request), "body")
            return _draft(request, title, sample_source("id, body, created_at", _TEXTS), model)
        case DraftKind.SKLEARN:
            return _sklearn_sample(request)
        case DraftKind.IMAGE:
            return _folder_of_pictures(request)
        case _:
            raise ConfigurationError(
                f"A draft of kind {request.kind} reads columns of a table of yours: name it with --table."
            )


def table_draft(request: Request, table: Table, proposal: Proposal) -> Draft:
    """A draft over a table of the author's.

    Raises ConfigurationError for a wrong name, and if the table has no column for a model of this kind.
    """
    check_name(request.name)
    choice, numbers = text_choice(table, proposal.used), number_columns(table, proposal.used)
    text = None if choice is None else choice.column
    columns: list[Column]
    match request.kind:
        case DraftKind.FUNCTION:
            # A function can read codes and categories, too: as texts of their own, they would say nothing.
            is_prose = choice is not None and not choice.is_guess
            texts = [choice.column] if choice is not None and is_prose else texts_of(table, proposal.used)
            columns = [*texts, *numbers]
            model = function_model(text if is_prose else None, numbers)
        case DraftKind.TEXT:
            columns = [_wanted(text, table, "texts")]
            model = text_model(_location(request), columns[0].name)
        case DraftKind.SKLEARN:
            columns = numbers or [_wanted(text, table, "numbers and no texts")]
            model = sklearn.sklearn_model(
                request.model or f"models/{request.name}.skops",
                features=[column.name for column in numbers],
                text=None if numbers else columns[0],
                written_by=None,
            )
        case DraftKind.IMAGE:
            columns = [_wanted(location_column(table, proposal.used), table, "locations of pictures")]
            model = image_model(
                request.model,
                column="LOCATION",
                allow='"s3://bucket/prefix/"',
                constants=(f"LOCATION = {literal(columns[0].name)}",),
            )
        case _:
            # Texts may be categories. The model takes the columns that it knows.
            columns = numbers if request.kind is DraftKind.ONNX else [*numbers, *texts_of(table, proposal.used)]
            _wanted(columns[0] if columns else None, table, "numbers")
            model = tabular_model(request.kind, _location(request), [column.name for column in columns])
    title = f"A prediction for each new row of a table. {_BY}"
    draft = _draft(request, title, table_source(table, proposal, columns), model)
    if request.kind is DraftKind.SKLEARN and request.model is None:
        draft = replace(draft, place_for_model=f"models/{request.name}.skops")
    taken = {*proposal.used, *(each.name for each in columns)}
    return replace(
        draft,
        proposal=proposal,
        columns=[each.name for each in columns],
        columns_why="by its name" if request.kind is DraftKind.IMAGE else _why(choice, columns),
        left_out=[f"{each.name} ({each.type})" for each in table.columns if each.name not in taken],
    )


def _why(choice: Choice | None, columns: list[Column]) -> str:
    """Why these columns were chosen."""
    texts = [column for column in columns if is_text(column)]
    if choice is None or not texts:
        return "by type and name"
    if choice.is_guess and len(texts) > 1:
        return "all texts and numbers: no column looks like prose"
    return f"{choice.column.name}: {choice.why}"


def _draft(request: Request, title: str, source: Argument, model: Argument) -> Draft:
    text = pipeline_text(request.name, title=title, source=source, model=model)
    return Draft(
        name=request.name,
        kind=request.kind,
        files={request.folder / f"{request.name}.py": text},
        place_for_model=_location(request) if _needs_place(request) else None,
        extras=request.extras,
    )


def _needs_place(request: Request) -> bool:
    """Whether the author has to put a model where the draft says."""
    return request.model is None and (request.kind is DraftKind.TEXT or request.kind.is_over_a_table)


def _location(request: Request) -> str:
    if request.kind.is_over_a_table:
        return request.model or place_for(request.kind, request.name)
    return request.model or f"models/{request.name}/1"


def _sklearn_sample(request: Request) -> Draft:
    name, folder = request.name, request.folder
    script, stored = folder / f"_train_{name}.py", folder / f"{name}.skops"
    model = sklearn.sklearn_model(
        request.model or stored.as_posix(),
        features=list(sklearn.FEATURES),
        text=None,
        written_by=None if request.model else script.as_posix(),
    )
    source = sample_source(f"id, {', '.join(sklearn.FEATURES)}, created_at", sklearn.SAMPLES)
    draft = _draft(request, f"Which customers are about to leave. {_BY}", source, model)
    if request.model:
        return draft
    if missing(request.extras):
        raise ConfigurationError(
            "The draft fits a model, which needs scikit-learn and skops: run pip install 'batchord[sklearn]', or give "
            "--model PATH."
        )
    training = sklearn.training_script(name, script.as_posix(), stored.name)
    return replace(draft, files={**draft.files, script: training}, script=script, script_writes=stored)


def _folder_of_pictures(request: Request) -> Draft:
    folder = None if request.pictures is None else str(request.pictures.resolve())
    model = image_model(request.model, column='"location"', allow='f"{FOLDER.as_uri()}/"')
    draft = _draft(request, f"A score for each picture in a folder. {_BY}", folder_source(folder), model)
    if folder is not None:
        return draft
    place = request.folder / request.name
    return replace(draft, files={**draft.files, **{place / name: each for name, each in sample_pictures().items()}})


def _wanted(column: Column | None, table: Table, what: str) -> Column:
    if column is None:
        names = ", ".join(f"{each.name} ({each.type})" for each in table.columns)
        raise ConfigurationError(
            f"{table.quoted} has no column with {what}, which this kind of model reads; its columns are: {names}. "
            "Choose another --kind."
        )
    return column
