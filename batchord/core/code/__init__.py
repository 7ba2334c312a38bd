"""The author's own code: which modules belong to it, which code a function uses, and the digest of that code."""

from batchord.core.code.authors import is_authors
from batchord.core.code.digest import Code, imported_code

__all__ = ["Code", "imported_code", "is_authors"]
