"""The base of declarations to which authors may add kinds: the code of such a kind is part of the declaration."""

from dataclasses import dataclass, field
from functools import cached_property

from batchord.core.code import Code, imported_code
from batchord.core.text.calls import NamesOptions


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

    def loaded_with(self, code: Code, module: str) -> None:
        """Stores where the declaration comes from. Only the first call counts."""
        if self.declared_in is None:
            object.__setattr__(self, "code", code)
            object.__setattr__(self, "declared_in", module)
