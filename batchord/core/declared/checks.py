"""How declarations are checked: one surprise must not hide what else is wrong."""

import os
import re
from collections.abc import Callable, Iterable, Mapping

from batchord.core.run.runs import StepKind
from batchord.core.text.error_text import error_text

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def problems_of(check: Callable[[], list[str]]) -> list[str]:
    """What ``check`` finds; or that it cannot be made, because a value of a wrong type may raise anything."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 -- see above
        return [f"the check failed: {error_text(error)}; look for a value of the wrong type"]


def is_whole(value: object, *, least: int) -> bool:
    """Whether it is a whole number from ``least``; True is none, though Python counts it as 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def address_problems(url: object, url_env: object) -> list[str]:
    """What is wrong with how a database is named."""
    found = [
        f"{option}= is a {type(value).__name__}: give a text"  # not the value, which may hold a password
        for option, value in (("url", url), ("url_env", url_env))
        if value is not None and not isinstance(value, str)
    ]
    if url and url_env:
        found.append("both url= and url_env= are given: keep one")
    return found


def after_problems(after: Iterable[object]) -> list[str]:
    """What is wrong with the names of the steps before a step."""
    # Types and names only: of a step or a function Python would show an address in memory.
    found: list[str] = []
    for each in after:
        if isinstance(getattr(each, "kind", None), StepKind):
            found.append(f"after= holds a step itself: give its name: after=[{getattr(each, 'name', None)!r}]")
        elif not isinstance(each, str):
            found.append(f"after= holds a {type(each).__name__}: give names of steps: after=['prepare']")
    return found


def secrets_problems(secrets: Iterable[object]) -> list[str]:
    """What is wrong with the names of the secrets that a command asks for."""
    return [
        f"secrets= holds {each!r}: give names of variables, such as 'BATCHORD_AUTHOR_URL'"
        for each in secrets
        if not (isinstance(each, str) and _VARIABLE.fullmatch(each))
    ]


def command_problems(command: object, env: object, cwd: object) -> list[str]:
    """What is wrong with a command and with what it is started with."""
    found = []
    if command is not None and not isinstance(command, str):
        found.append(f"command= is a {type(command).__name__}: give one text, such as 'ls -l'")
    elif not command or not command.strip():
        found.append("command= is empty: give the command that bash runs")
    elif "\0" in command:
        found.append("command= holds a NUL character, which no shell can read")
    if not isinstance(env, Mapping) or not all(isinstance(each, str) for each in [*env, *env.values()]):
        found.append("env= must be a dict of texts")
    else:
        found += [
            f"env= holds {name!r}: a name must not be empty or hold '=', and neither name nor value may hold a NUL "
            "character"
            for name, value in env.items()
            if not name or "=" in name or "\0" in name + value
        ]
    if cwd is not None and (not isinstance(cwd, str | os.PathLike) or "\0" in os.fspath(cwd)):
        found.append(f"cwd={cwd!r}: give the path of a folder, or None")
    return found
