"""Records out of a SQL database: the ``Source`` port over SQLAlchemy."""

from batchord.sources.sql.bounds import Limits
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.source import SqlRecords, open_source

__all__ = ["Limits", "SqlRecords", "dispose_engines", "open_source"]
