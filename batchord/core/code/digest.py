"""The digest of a function: of its own code and of all other code of the author that it uses."""

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

#: Returns the text of an author's module by its name; None if the module is not the author's or has no text.
SourceOf = Callable[[str], str | None]


class Code:
    """The author's code as it was loaded once. Later edits of the files change nothing here.

    ``source_of`` returns the texts that were compiled. Threads may share a Code.
    """

    def __init__(self, source_of: SourceOf) -> None:
        self._source_of = source_of
        self._parsed: dict[str, Parsed | None] = {}
        self._lock = threading.RLock()

    def digest(self, function: Callable[..., Any], *, declared_in: str | None = None) -> str | None:
        """A digest that changes when the function, or code of the author that it uses, changes; None without any text.

        It covers the function, the names of the author's modules that it uses, and what these use in turn: functions,
        classes, constants, imports. Comments and layout change nothing. Where the text does not tell which names are
        used, the digest covers whole modules, among them ``declared_in``, in which the function was handed to Batchord.
        """
        reach = Reach(self.parsed)
        try:
            reach_value(reach, function, declared_in)
        except RecursionError:
            # The code is nested deeper than Python can walk. So the digest covers the modules' texts as they are.
            texts = [self._source_of(name) for name in (_module(function), declared_in) if name is not None]
            return _hash([text for text in texts if text is not None])
        if not reach.empty:
            return _hash(reach.texts)
        text = _text_alone(function)
        return None if text is None else _hash([text, *reach.texts])

    def parsed(self, module: str) -> Parsed | None:
        """The parsed module; None if it is not the author's or cannot be parsed."""
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
    """The code of functions that no catalog loaded: the modules as this process imported them."""
    return Code(imported_source)


def _module(function: Callable[..., Any]) -> str | None:
    return getattr(function, "__module__", None)


def _text_alone(function: Callable[..., Any]) -> str | None:
    """The own text of a function of a library or of a notebook's cell. Its names lead to no file of the author."""
    plain = function.func if isinstance(function, partial) else function
    if not isinstance(plain, types.FunctionType | types.MethodType):
        return None
    try:
        return textwrap.dedent(inspect.getsource(plain))
    except (OSError, TypeError):
        return None


def _hash(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
