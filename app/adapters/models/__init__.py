"""Models: from an author's declaration to predictions. Importing this loads no ML library."""

from app.adapters.models.library import ModelLibrary

__all__ = ["ModelLibrary"]
