"""The digest of a function: of its own code, and of all that it reaches of the author's other code."""

import hashlib
import inspect
import textwrap
import threading
import types
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from batchord.core.code.authors import imported_source
from batchord.core.code.parsed import Parsed, parse
from batchord.core.code.reach import Reach
from batchord.core.code.values import reach_value

#: The text of an author's module by its name; None where it is not the author's, or has none.
SourceOf = Callable[[str], str | None]


class Code:
    """The author's code as one load of it has it: what is edited afterwards changes nothing here.

    ``source_of`` gives the texts that were compiled. Safe in threads.
    """

    def __init__(self, source_of: SourceOf) -> None:
        self._source_of = source_of
        self._parsed: dict[str, Parsed | None] = {}
        self._lock = threading.RLock()

    def digest(self, function: Callable[..., Any], *, declared_in: str | None = None) -> str | None:
        """Changes when the function, or code of the author's that it reaches, does; None where no text can be had.

        It covers the function, the names of the author's modules that it uses, and what these use in turn: functions,
        classes, constants, imports. Comments and layout change nothing. Where the names cannot be told from the text,
        whole modules are covered, among them ``declared_in``, in which the function was handed to Batchord.
        """
        reach = Reach(self.parsed)
        try:
            reach_value(reach, function, declared_in)
        except RecursionError:
            # Nested deeper than Python can walk: the texts as they are.
            texts = [self._source_of(name) for name in (_module(function), declared_in) if name is not None]
            return _hash([text for text in texts if text is not None])
        if not reach.empty:
            return _hash(reach.texts)
        text = _text_alone(function)
        return None if text is None else _hash([text, *reach.texts])

    def parsed(self, module: str) -> Parsed | None:
        """The module, taken apart; None where it is not the author's."""
        with self._lock:
            if module not in self._parsed:
                text = self._source_of(module)
                try:
                    self._parsed[module] = None if text is None else parse(text)
                except (SyntaxError, ValueError):
                    self._parsed[module] = None
            return self._parsed[module]


@cache
def imported_code() -> Code:
    """For functions that no catalog loaded: the modules as this process imported them."""
    return Code(imported_source)


def _module(function: Callable[..., Any]) -> str | None:
    return getattr(function, "__module__", None)


def _text_alone(function: Callable[..., Any]) -> str | None:
    """Of a library's function, or one of a notebook's cell: its own text; its names lead to nobody's file."""
    plain = function.func if isinstance(function, partial) else function
    if not isinstance(plain, types.FunctionType | types.MethodType):
        return None
    try:
        return textwrap.dedent(inspect.getsource(plain))
    except (OSError, TypeError):
        return None


def _hash(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
