"""What an error says, whoever wrote its class."""


def error_text(error: BaseException) -> str:
    """``Type: text``. An author's class may fail even at telling what is wrong, and that must not hide the error."""
    name = type(error).__name__
    try:
        text = str(error)
    except (Exception, SystemExit) as failure:  # noqa: BLE001 -- see above
        return f"{name} (no text: its str() raises {type(failure).__name__})"
    return f"{name}: {text}"


def clause(text: str) -> str:
    """``text`` without the full stop at its end: another sentence, or part of one, follows."""
    return text.rstrip().removesuffix(".")
