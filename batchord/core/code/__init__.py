"""The author's own code: which modules it is, what a function of it reaches, and the digest of that."""

from batchord.core.code.authors import is_authors
from batchord.core.code.digest import Code, imported_code

__all__ = ["Code", "imported_code", "is_authors"]
