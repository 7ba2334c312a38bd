"""The text of an error, even if its class is broken."""

import re

from batchord.core.errors import BatchordError

#: What Python says when a pickled file names a class or a function of the program that wrote the file. In a program
#: that was started by ``python -m celery``, it calls the module ``celery.__main__``.
_OF_A_NOTEBOOK = re.compile(
    r"attribute '([\w.]+)' on <module '(?:[\w.]+\.)?__(?:mp_)?main__'|"
    r"module '__(?:mp_)?main__' has no attribute '([\w.]+)'"
)


def error_text(error: BaseException) -> str:
    """``Type: text``. If the error's own ``str()`` raises, the result says so, so that the error is not hidden.

    For a model file that needs a class or a function of a notebook, the text says what to do.
    """
    name = type(error).__name__
    try:
        text = str(error)
    except (Exception, SystemExit) as failure:  # noqa: BLE001 -- an author's class may raise anything
        return f"{name} (no text: its str() raises {type(failure).__name__})"
    missing = _OF_A_NOTEBOOK.search(text) if isinstance(error, AttributeError) else None
    return f"{name}: {text}" + ("" if missing is None else f". {from_notebook(missing[1] or missing[2])}")


def from_notebook(name: str) -> str:
    """What to do about a class or a function of a notebook, which no other program can import."""
    return (
        f"{name} was defined in a notebook or a script: move it from the notebook into a module beside your pipelines, "
        "import it from there, and write the model's file again"
    )


def message_of(error: BaseException) -> str:
    """The message of an error of Batchord's, which explains itself; of any other error the type and the text."""
    return str(error) if isinstance(error, BatchordError) else error_text(error)


def clause(text: object) -> str:
    """An error, or its text, without full stops at its end, so that it can be a part of a sentence.

    Whoever builds a sentence with an error inside adds the full stop. Some libraries' errors end with one, others do
    not.
    """
    return str(text).rstrip(". \t\r\n")
