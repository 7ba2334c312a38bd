"""What every kind of declaration has that an author may add: the author's own code is a part of what it says."""

from dataclasses import dataclass, field
from functools import cached_property

from batchord.core.code import Code, imported_code


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A declaration that knows which code it was loaded with."""

    #: The author's code that it was loaded with, and the module that declares it; the catalog sets both.
    code: Code = field(init=False, repr=False, compare=False, default_factory=imported_code)
    declared_in: str | None = field(init=False, repr=False, compare=False, default=None)

    @cached_property
    def kind_digest(self) -> str | None:
        """Of the code of this kind, and all that it reaches, where it is an author's own; None for Batchord's kinds."""
        kind = type(self)
        if self.code.parsed(kind.__module__) is None:
            return None
        return self.code.digest(kind, declared_in=self.declared_in)

    def loaded_with(self, code: Code, module: str) -> None:
        """Notes where the declaration comes from; the first note holds."""
        if self.declared_in is None:
            object.__setattr__(self, "code", code)
            object.__setattr__(self, "declared_in", module)
