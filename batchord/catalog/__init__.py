"""Finds, loads and checks pipeline files."""

from batchord.catalog.catalog import Catalog, Snapshot
from batchord.catalog.live import LiveCatalog
from batchord.catalog.reading import Loaded, Problem, load

__all__ = ["Catalog", "LiveCatalog", "Loaded", "Problem", "Snapshot", "load"]
