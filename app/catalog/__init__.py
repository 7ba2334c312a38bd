"""Finds, loads and checks pipeline files."""

from app.catalog.catalog import Catalog, Snapshot
from app.catalog.live import LiveCatalog
from app.catalog.reading import Loaded, Problem, load

__all__ = ["Catalog", "LiveCatalog", "Loaded", "Problem", "Snapshot", "load"]
