"""Drafts whose model is a function."""

from batchord.drafts.pipeline_file import Argument
from batchord.drafts.python_text import listed, literal
from batchord.sources.sql.tables import Column

_MOOD = '''def mood(frame: pd.DataFrame) -> pd.Series:
    """One label for each record. A Series of numbers would be scores."""
    pleased = frame["body"].str.contains("fine|great|good", case=False)
    return pleased.map({True: "pleased", False: "not pleased"})'''
_LENGTH = '''def label(frame: pd.DataFrame) -> pd.Series:
    """One label for each record. Put your model here."""
    return (frame[TEXT].str.len() > 100).map({True: "long", False: "short"})'''
_MEAN = '''def score(frame: pd.DataFrame) -> pd.Series:
    """One score for each record. Put your model here."""
    return frame[NUMBERS].mean(axis="columns")'''
_SEEN = '''def label(frame: pd.DataFrame) -> pd.Series:
    """One label for each record. Put your model here."""
    return pd.Series("seen", index=frame.index)'''
_PANDAS = frozenset({"import pandas as pd"})
_INDEX = "    # The index of the frame holds the keys, and so must that of the result."


def mood_model() -> Argument:
    """The function of a draft that brings its own texts."""
    return _over_text("mood", _MOOD, "body")


def function_model(text: Column | None, numbers: list[Column]) -> Argument:
    """A function over the columns of a table: its text, or else its numbers."""
    if text is not None:
        # The name stands alone in its line of the file: however long it is, the lines below keep their form.
        named = _over_text("label", _LENGTH, text.name)
        return Argument(
            lines=named.lines.replace(literal(text.name), "TEXT"),
            names=named.names,
            imports=named.imports,
            constants=(f"TEXT = {literal(text.name)}",),
            definitions=named.definitions,
        )
    constants = (listed("NUMBERS = ", [literal(column.name) for column in numbers]),) if numbers else ()
    function = "score" if numbers else "label"
    return Argument(
        lines=f"{_INDEX}\n    model={function},",
        imports=_PANDAS,
        constants=constants,
        definitions=(_MEAN if numbers else _SEEN,),
    )


def _over_text(function: str, definition: str, text: str) -> Argument:
    why = "    # A record whose text is missing or blank is rejected: the function never sees it."
    return Argument(
        lines=f"{why}\n    model=FunctionModel({function}, text={literal(text)}),",
        names=frozenset({"FunctionModel"}),
        imports=_PANDAS,
        definitions=(definition,),
    )
