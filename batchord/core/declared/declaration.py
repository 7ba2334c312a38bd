"""The base of declarations to which authors may add kinds: the code of such a kind is part of the declaration."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from batchord.core.code import Code, imported_code
from batchord.core.errors import BatchordError, ConfigurationError, ModelNotFound
from batchord.core.text.calls import NamesOptions

#: Errors whose cause a person finds in the declaration, or in what it names.
_OF_A_DECLARATION = (ConfigurationError, ModelNotFound)


@dataclass(frozen=True, kw_only=True)
class Declaration(NamesOptions):
    """A declaration that knows with which code it was loaded."""

    #: The author's code with which it was loaded, and the module that declares it. The catalog sets both.
    code: Code = field(init=False, repr=False, compare=False, default_factory=imported_code)
    declared_in: str | None = field(init=False, repr=False, compare=False, default=None)

    @cached_property
    def kind_digest(self) -> str | None:
        """The digest of an author's own kind: its code and all code that it uses. None for Batchord's kinds."""
        kind = type(self)
        if self.code.parsed(kind.__module__) is None:
            return None
        return self.code.digest(kind, declared_in=self.declared_in)

    @property
    def written_at(self) -> str | None:
        """Where an author corrects it, such as ``pipelines/reviews.py:12``; None if that is unknown."""
        return None

    @contextmanager
    def naming_its_place(self, what: str) -> Iterator[None]:
        """Adds the place of the declaration to an error that says what is wrong with ``what``, such as ``The model``.

        Errors with values of their own, such as those of subclasses, are left as they are.
        """
        try:
            yield
        except BatchordError as error:
            place = self.written_at
            if type(error) in _OF_A_DECLARATION and place is not None and place not in str(error):
                error.args = (f"{error} {what} is declared at {place}.",)
            raise

    def loaded_with(self, code: Code, module: str) -> None:
        """Stores where the declaration comes from. Only the first call counts."""
        if self.declared_in is None:
            object.__setattr__(self, "code", code)
            object.__setattr__(self, "declared_in", module)
