"""The text of an error, even if its class is broken."""

from batchord.core.errors import BatchordError


def error_text(error: BaseException) -> str:
    """``Type: text``. If the error's own ``str()`` raises, the result says so, so that the error is not hidden."""
    name = type(error).__name__
    try:
        text = str(error)
    except (Exception, SystemExit) as failure:  # noqa: BLE001 -- an author's class may raise anything
        return f"{name} (no text: its str() raises {type(failure).__name__})"
    return f"{name}: {text}"


def message_of(error: BaseException) -> str:
    """The message of an error of Batchord's, which explains itself; of any other error the type and the text."""
    return str(error) if isinstance(error, BatchordError) else error_text(error)


def clause(text: object) -> str:
    """An error, or its text, without full stops at its end, so that it can be a part of a sentence.

    Whoever builds a sentence with an error inside adds the full stop. Some libraries' errors end with one, others do
    not.
    """
    return str(text).rstrip(". \t\r\n")
