"""Models: from an author's declaration to predictions. Importing this loads no ML library."""

from batchord.models.library import ModelLibrary

__all__ = ["ModelLibrary"]
